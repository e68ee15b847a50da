// Applies a temperature to a distribution of which only the most probable tokens are known. The mathematics is that of
// temperature_topk in deluge_nb/stats/temperature/scaling.py; both are tested with the same vectors.

/** Bounds on probabilities: of each listed token, and of all other tokens together. */
export interface TemperatureBounds {
  lower: number[];
  upper: number[];
  rest: [least: number, most: number];
}

// Providers send single-precision values: up to this much of the tail, per alternative, may be rounding.
const FLOAT32_ROUNDING = 2 ** -24;

function logSum(values: number[]): number {
  // Not by spreading: the values may be a whole vocabulary, which is too many arguments.
  let peak = Number.NEGATIVE_INFINITY;
  for (const value of values) if (value > peak) peak = value;
  if (!Number.isFinite(peak)) return peak;
  let rest = 0;
  let seenPeak = false;
  for (const value of values) {
    if (value === peak && !seenPeak) seenPeak = true;
    else rest += Math.exp(value - peak);
  }
  return peak + Math.log1p(rest);
}

/**
 * Bounds on log(sum of p^beta) over the hidden tokens, which share the probability `tail`, none above `cap`. The sum is
 * extreme when the tail is spread evenly over the hidden tokens, and when it sits on as few of them as `cap` allows.
 */
function hiddenBounds(tail: number, cap: number, hidden: number, beta: number): [number, number] {
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

/** The known part of a distribution, and what is hidden. */
export interface Top {
  /** Log-probabilities (nats) of the listed tokens, then of the unlisted one; divided by their sum if that exceeded 1. */
  known: number[];
  /** The probability of all hidden tokens. */
  tail: number;
  /** The most that one of them can have. */
  cap: number;
  /** Their number; infinite if unknown. */
  hidden: number;
}

/** Read a list of the likeliest tokens. An `unlisted` token counts, but is no upper limit for hidden ones. */
export function readTop(listed: number[], vocabSize: number | null, unlisted: number | null = null): Top {
  let known = unlisted === null ? listed : [...listed, unlisted];
  const total = logSum(known);
  let tail = -Math.expm1(total);
  if (tail < 0) {
    // Rounding made the list exceed 1: only the ratios count.
    known = known.map((logprob) => logprob - total);
    tail = 0;
  }
  let least = 0;
  for (const logprob of listed) if (logprob < least) least = logprob;
  const hidden = vocabSize === null ? Number.POSITIVE_INFINITY : Math.max(0, vocabSize - known.length);
  return { known, tail, cap: Math.exp(least), hidden };
}

/** Bounds on log(sum of p^beta) over the hidden tokens, with an allowance for the rounding of the list. */
export function hiddenPowers({ known, tail, cap, hidden }: Top, beta: number): [number, number] {
  if (hidden <= 0) return [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  if (beta === 1) return [Math.log(tail), Math.log(tail)];
  // A tail as small as the rounding may be nothing or twice that; above temperature 1 the difference matters.
  const rounding = beta < 1 ? known.length * FLOAT32_ROUNDING : 0;
  const uncertain = tail < 16 * rounding ? rounding : 0;
  const [least, most] = hiddenBounds(Math.max(tail - uncertain, 0), cap, hidden, beta);
  return [least, uncertain ? hiddenBounds(tail + uncertain, cap, hidden, beta)[1] : most];
}

/**
 * Bound the probabilities of listed tokens at another temperature, given their log-probabilities (nats) at temperature 1.
 *
 * `unlisted` is the log-probability of the chosen token if it is not in the list: it counts, but it is no upper limit for
 * hidden tokens. `vocabSize` is the number of all tokens, or null if unknown; then nothing bounds the rest above
 * temperature 1.
 */
export function atTemperature(
  listed: number[],
  temperature: number,
  vocabSize: number | null,
  unlisted: number | null = null,
): TemperatureBounds {
  const top = readTop(listed, vocabSize, unlisted);
  const { known, tail } = top;
  if (temperature === 1) {
    const p = known.map(Math.exp);
    return { lower: p, upper: p, rest: [tail, tail] };
  }
  if (temperature === 0) {
    const shares = sharesOfBest(known);
    return { lower: shares, upper: shares, rest: [0, 0] };
  }
  const beta = 1 / temperature;
  const [least, most] = hiddenPowers(top, beta);
  const scaled = known.map((logprob) => logprob * beta);
  const sum = logSum(scaled);
  const share = (rest: number) =>
    rest === Number.POSITIVE_INFINITY ? 1 : Math.exp(rest - logAdd(sum, rest));
  return {
    lower: scaled.map((logprob) => Math.exp(logprob - logAdd(sum, most))),
    upper: scaled.map((logprob) => Math.exp(logprob - logAdd(sum, least))),
    rest: [share(least), share(most)],
  };
}

/** At temperature 0 the likeliest tokens share everything. */
export function sharesOfBest(logprobs: number[]): number[] {
  let best = Number.NEGATIVE_INFINITY;
  for (const logprob of logprobs) if (logprob > best) best = logprob;
  const ties = logprobs.filter((logprob) => logprob === best).length;
  return logprobs.map((logprob) => (logprob === best ? 1 / ties : 0));
}
