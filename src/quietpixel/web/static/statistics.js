// Statistics of arrays, as NumPy has them.

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;

export function median(values) {
  const copy = new Float64Array(values), middle = (copy.length - 1) / 2;
  return (select(copy, Math.floor(middle)) + select(copy, Math.ceil(middle))) / 2;
}

// What stands at a place once the values are sorted; they are sorted as far as that needs.
function select(values, place) {
  for (let low = 0, high = values.length - 1; low < high;) {
    const pivot = values[(low + high) >> 1];
    let left = low, right = high;
    while (left <= right) {
      while (values[left] < pivot) left++;
      while (values[right] > pivot) right--;
      if (left <= right) [values[left++], values[right--]] = [values[right], values[left]];
    }
    if (place <= right) high = right;
    else if (place >= left) low = left;
    else break;
  }
  return values[place];
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
