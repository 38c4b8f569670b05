// Denoisers for points of a plane: the best possible one, and a small network.

// A clean point of `points` was drawn, and noise of `sigma` was added. The best answer to the noisy
// point (x, y) is the mean of all clean points, each weighted by how likely it leads there.
export function bestAnswer(points, sigma, x, y) {
  const weights = points.map(([a, b]) => -((x - a) ** 2 + (y - b) ** 2) / (2 * sigma ** 2));
  const largest = Math.max(...weights); // so that not all weights become 0 far from the points
  let sum = 0, meanX = 0, meanY = 0;
  points.forEach(([a, b], at) => {
    weights[at] = Math.exp(weights[at] - largest);
    sum += weights[at];
    meanX += weights[at] * a;
    meanY += weights[at] * b;
  });
  const logDensity = largest + Math.log(sum / points.length) - 2 * Math.log(sigma) - Math.log(2 * Math.PI);
  return { answer: [meanX / sum, meanY / sum], weights: weights.map((weight) => weight / sum), logDensity };
}

// Two hidden layers, trained by Adam to name the clean point of a noisy one.
export class Network {
  constructor(normal, hidden = 40) {
    this.layers = [[2, hidden], [hidden, hidden], [hidden, 2]].map(([inputs, outputs]) => {
      const spread = Math.sqrt(1 / inputs);
      const weights = Float64Array.from({ length: (inputs + 1) * outputs }, (_, at) => (at < inputs * outputs ? spread * normal() : 0));
      return { inputs, outputs, weights, slope: weights.map(() => 0), mean: weights.map(() => 0), square: weights.map(() => 0) };
    });
    this.steps = 0;
  }

  // Returns what each layer gives; the last one gives the answer.
  run(point) {
    const values = [point];
    for (const { inputs, outputs, weights } of this.layers) {
      const before = values.at(-1), hidden = outputs > 2;
      values.push(Float64Array.from({ length: outputs }, (_, out) => {
        let sum = weights[inputs * outputs + out];
        for (let at = 0; at < inputs; at++) sum += weights[out * inputs + at] * before[at];
        return hidden ? Math.tanh(sum) : sum;
      }));
    }
    return values;
  }

  answer(x, y) {
    return [...this.run([x, y]).at(-1)];
  }

  // One step down the mean squared error of a batch of noisy and clean points.
  train(noisy, clean, rate = 0.005) {
    for (const { slope } of this.layers) slope.fill(0);
    noisy.forEach((point, at) => this.addSlopes(this.run(point), clean[at], 2 / noisy.length));
    this.steps++;
    for (const { weights, slope, mean, square } of this.layers) {
      for (let at = 0; at < weights.length; at++) {
        mean[at] = 0.9 * mean[at] + 0.1 * slope[at];
        square[at] = 0.99 * square[at] + 0.01 * slope[at] ** 2;
        const step = mean[at] / (1 - 0.9 ** this.steps);
        weights[at] -= (rate * step) / (Math.sqrt(square[at] / (1 - 0.99 ** this.steps)) + 1e-8);
      }
    }
  }

  addSlopes(values, clean, factor) {
    let error = values.at(-1).map((value, at) => factor * (value - clean[at]));
    for (let at = this.layers.length - 1; at >= 0; at--) {
      const { inputs, outputs, weights, slope } = this.layers[at], before = values[at];
      const next = new Float64Array(inputs);
      for (let out = 0; out < outputs; out++) {
        slope[inputs * outputs + out] += error[out];
        for (let input = 0; input < inputs; input++) {
          slope[out * inputs + input] += error[out] * before[input];
          next[input] += error[out] * weights[out * inputs + input];
        }
      }
      error = next.map((value, input) => value * (1 - before[input] ** 2)); // the slope of tanh
    }
  }
}
