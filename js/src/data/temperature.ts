// What another temperature makes of a distribution of which only the top is known. The same mathematics as
// deluge_nb/stats/temperature.py, whose vectors test it.

/** Bounds of probabilities: of each listed token, and of all others together. */
export interface Weighed {
  lower: number[];
  upper: number[];
  rest: [least: number, most: number];
}

// A provider's value is a float of single precision: so much of a tail may be rounding, for each alternative.
const SINGLE = 2 ** -24;

function logSum(values: number[]): number {
  const peak = Math.max(...values, Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(peak)) return peak;
  let rest = 0;
  let seen = false;
  for (const value of values) {
    if (value === peak && !seen) seen = true;
    else rest += Math.exp(value - peak);
  }
  return peak + Math.log1p(rest);
}

function spread(tail: number, cap: number, hidden: number, beta: number): [number, number] {
  if (tail <= 0) return [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const full = cap > 0 ? Math.floor((tail / cap) * (1 + 1e-13)) : 0;
  const left = tail - full * cap;
  const parts: number[] = [];
  if (full) parts.push(Math.log(full) + beta * Math.log(cap));
  if (left > 1e-12 * tail) parts.push(beta * Math.log(left));
  const narrow = logSum(parts);
  if (hidden === Number.POSITIVE_INFINITY) {
    return beta > 1 ? [Number.NEGATIVE_INFINITY, narrow] : [narrow, Number.POSITIVE_INFINITY];
  }
  const even = Math.log(hidden) + beta * Math.log(tail / hidden);
  return [Math.min(even, narrow), Math.max(even, narrow)];
}

const logAdd = (a: number, b: number) => (a === Number.POSITIVE_INFINITY ? a : logSum([a, b]));

/**
 * Weigh a list of log-probabilities (nats) at a temperature.
 *
 * `extra` is the chosen token's where it is not in the list: it counts, but caps nothing. `vocabSize` is how many
 * tokens there are in all, or null where that is unknown; nothing then bounds the rest above temperature 1.
 */
export function weigh(
  listed: number[],
  temperature: number,
  vocabSize: number | null,
  extra: number | null = null,
): Weighed {
  let known = extra === null ? listed : [...listed, extra];
  let total = logSum(known);
  let tail = -Math.expm1(total);
  if (tail < 0) {
    // Rounding: the numbers are to be read relatively.
    const over = total;
    known = known.map((one) => one - over);
    total = 0;
    tail = 0;
  }
  const p = known.map(Math.exp);
  if (temperature === 1) return { lower: p, upper: p, rest: [tail, tail] };
  if (temperature === 0) {
    const best = Math.max(...known);
    const ties = known.filter((one) => one === best).length;
    const sure = known.map((one) => (one === best ? 1 / ties : 0));
    return { lower: sure, upper: sure, rest: [0, 0] };
  }
  const beta = 1 / temperature;
  const cap = listed.length ? Math.exp(Math.min(...listed)) : 1;
  const hidden = vocabSize === null ? Number.POSITIVE_INFINITY : Math.max(0, vocabSize - known.length);
  let [least, most] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  if (hidden > 0) {
    const margin = beta < 1 ? known.length * SINGLE : 0;
    const unsure = tail < 16 * margin ? margin : 0;
    [least, most] = spread(Math.max(tail - unsure, 0), cap, hidden, beta);
    if (unsure) most = spread(tail + unsure, cap, hidden, beta)[1];
  }
  const scaled = known.map((one) => one * beta);
  const sum = logSum(scaled);
  const share = (rest: number) =>
    rest === Number.POSITIVE_INFINITY ? 1 : Math.exp(rest - logAdd(sum, rest));
  return {
    lower: scaled.map((one) => Math.exp(one - logAdd(sum, most))),
    upper: scaled.map((one) => Math.exp(one - logAdd(sum, least))),
    rest: [share(least), share(most)],
  };
}
