// Statistics of arrays, as NumPy has them.

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;

export function median(values) {
  return quantile(new Float64Array(values).sort(), 0.5);
}

export function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

export function correlation(first, second) {
  const [a, b] = [first, second].map((values) => {
    const middle = mean(values);
    return values.map((value) => value - middle);
  });
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

// The sum of products, the second array moved by `shift`.
export function dot(first, second, shift = 0) {
  let total = 0;
  for (let at = shift; at < first.length; at++) total += first[at] * second[at - shift];
  return total;
}
