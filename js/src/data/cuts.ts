// What a sampler can draw: temperature, top-k, top-p and min-p together, where only the most probable tokens are known.
// The mathematics is that of deluge_nb/stats/temperature/cuts.py; both are tested by sampling_vectors.json.

import { hiddenPowers, readTop, sharesOfBest, type TemperatureBounds, type Top } from "./temperature.ts";

/** The order of the steps: temperature, min-p, top-k, top-p; or top-k, top-p, min-p, temperature. */
export type SamplerOrder = "vllm" | "llama.cpp";

/** The settings of a sampler; null for a cut that is not made. */
export interface SamplerSettings {
  temperature: number;
  topK: number | null;
  topP: number | null;
  minP: number | null;
  order: SamplerOrder;
}

/** The model's own distribution. */
export const NO_SAMPLER: SamplerSettings = {
  temperature: 1,
  topK: null,
  topP: null,
  minP: null,
  order: "vllm",
};

export interface SamplingBounds extends TemperatureBounds {
  /** For each token: kept, or cut unless it is possible, whatever the list leaves out. */
  certain: boolean[];
  possible: boolean[];
}

/** Powers of the probabilities, divided by that of the most probable token. */
interface Weights {
  listed: number[];
  /** Running sums of `listed`, with 0 first. */
  sums: number[];
  extra: number;
  /** Bounds on the sum over all hidden tokens. */
  least: number;
  most: number;
}

/** Tokens that the cuts by number have kept: the first `size`, and hidden ones unless it is closed. */
interface Candidates {
  size: number;
  isClosed: boolean;
  /** Bounds on the weight beyond the listed tokens. */
  least: number;
  most: number;
}

// Log-probabilities arrive in single precision: a sum counts as reaching a limit that it misses by less than this share.
const GUARD = 1e-6;

/** The settings that change anything, as words. */
export function describeSampler({ temperature, topK, topP, minP, order }: SamplerSettings): string {
  const steps = [
    temperature === 1 ? "" : `temperature ${temperature}`,
    topK === null ? "" : `top-k ${topK}`,
    topP === null ? "" : `top-p ${topP}`,
    minP === null ? "" : `min-p ${minP}`,
  ].filter(Boolean);
  // The order of the steps changes something only if there is more than one.
  return steps.length > 1 ? `${steps.join(", ")} (as ${order === "vllm" ? "vLLM" : order})` : steps.join("");
}

/** Bound the probabilities with which a sampler draws listed tokens, and an `unlisted` one, which is last. */
export function samplingBounds(
  listed: number[],
  settings: SamplerSettings,
  vocabSize: number | null,
  unlisted: number | null = null,
): SamplingBounds {
  const top = readTop(listed, vocabSize, unlisted);
  const ranking = listed.map((_, index) => index);
  ranking.sort((a, b) => (listed[b] ?? 0) - (listed[a] ?? 0));
  if (unlisted !== null) ranking.push(listed.length);
  const ranked = { ...top, known: ranking.map((index) => top.known[index] ?? 0) };
  const drawn = draw(ranked, listed.length, settings);
  const restore = <T>(values: T[]): T[] => {
    const restored: T[] = [];
    ranking.forEach((index, position) => {
      restored[index] = values[position] as T;
    });
    return restored;
  };
  return {
    certain: restore(drawn.certain),
    possible: restore(drawn.possible),
    lower: restore(drawn.lower),
    upper: restore(drawn.upper),
    rest: drawn.rest,
  };
}

function weightsOf(top: Top, count: number, beta: number): Weights {
  const peak = (top.known[0] ?? 0) * beta;
  const weights = top.known.map((logprob) => Math.exp(logprob * beta - peak));
  const listed = weights.slice(0, count);
  const sums = [0];
  for (const weight of listed) sums.push((sums.at(-1) ?? 0) + weight);
  const [least, most] = hiddenPowers(top, beta).map((power) => Math.exp(power - peak)) as [number, number];
  return { listed, sums, extra: weights[count] ?? 0, least, most };
}

function draw(top: Top, count: number, settings: SamplerSettings): SamplingBounds {
  const { temperature, topK, order } = settings;
  if (temperature === 0) {
    const shares = sharesOfBest(top.known);
    const best = shares.map((share) => share > 0);
    return { certain: best, possible: best, lower: shares, upper: shares, rest: [0, 0] };
  }
  const isFirst = order === "vllm";
  const drawn = weightsOf(top, count, 1 / temperature);
  const early = isFirst ? drawn : weightsOf(top, count, 1);
  const minP = (settings.minP ?? 0) * (1 - GUARD);
  const passing = early.listed.filter((weight) => weight >= minP).length;
  const extraPasses = early.extra >= minP;
  const kept = cutByNumber(early, settings, isFirst ? passing : count, extraPasses);
  // The sum that top-p compares with, and how many listed tokens stay below its share.
  const low = at(early.sums, kept.size) + kept.least;
  const high = at(early.sums, kept.size) + kept.most;
  const hasTopP = settings.topP !== null && settings.topP < 1;
  const topP = settings.topP ?? 1;
  const stays = (sum: number, whole: number) => !hasTopP || sum < topP * whole * (1 - GUARD);
  const countBelow = (whole: number) =>
    early.sums.filter((sum, index) => index < kept.size && stays(sum, whole)).length;
  let [least, most] = [countBelow(low), countBelow(high)];
  const isOpen = !kept.isClosed && kept.most > 0;
  let isBeyond = isOpen && stays(at(early.sums, count), high);
  let isSurelyBeyond = isOpen && stays(at(early.sums, count), low);
  if (!isFirst && passing < count) {
    [least, most] = [Math.min(least, passing), Math.min(most, passing)];
    isBeyond = isSurelyBeyond = false;
  }
  const whole = at(drawn.sums, count);
  const last = drawn.listed.at(-1) ?? 0;
  let floor = at(drawn.sums, least);
  let ceiling = at(drawn.sums, most);
  if (isBeyond) {
    const room = topK === null ? Number.POSITIVE_INFINITY : (topK - count) * last;
    ceiling = whole + (isFirst ? kept.most : Math.min(drawn.extra + drawn.most, room));
    if (hasTopP && isFirst) ceiling = Math.min(ceiling, Math.max(whole, topP * high) + last);
  }
  if (isSurelyBeyond && isFirst) floor = hasTopP ? Math.max(floor, topP * low) : whole + kept.least;
  else if (isSurelyBeyond && topK === null && !settings.minP && !hasTopP)
    floor = whole + drawn.extra + drawn.least;
  const extraPossible = isBeyond && extraPasses;
  const extraCertain = extraPossible && !hasTopP && topK === null;
  const result: SamplingBounds = {
    certain: [],
    possible: [],
    lower: [],
    upper: [],
    rest: [
      isSurelyBeyond ? Math.max(0, 1 - (whole + drawn.extra) / floor) : 0,
      isBeyond ? Math.max(0, 1 - (whole + (extraCertain ? drawn.extra : 0)) / ceiling) : 0,
    ],
  };
  top.known.forEach((_, index) => {
    const isExtra = index >= count;
    const isCertain = isExtra ? extraCertain : index < least;
    const isPossible = isExtra ? extraPossible : index < most;
    const weight = isExtra ? drawn.extra : (drawn.listed[index] ?? 0);
    const upTo = isExtra ? whole + drawn.extra : at(drawn.sums, index + 1);
    result.certain.push(isCertain);
    result.possible.push(isPossible);
    result.lower.push(isCertain ? weight / ceiling : 0);
    result.upper.push(isPossible ? weight / (isCertain ? floor : Math.max(floor, upTo)) : 0);
  });
  return result;
}

/** Apply top-k, and min-p if it comes before: both keep the first tokens, whatever they add up to. */
function cutByNumber(
  early: Weights,
  { topK, minP, order }: SamplerSettings,
  passing: number,
  extraPasses: boolean,
): Candidates {
  const count = early.listed.length;
  const number = topK ?? Number.POSITIVE_INFINITY;
  const size = passing < count ? Math.min(number, passing) : number;
  if (size <= count) return { size, isClosed: true, least: 0, most: 0 };
  const hasMinP = !!minP && order === "vllm";
  const most = early.most + (extraPasses || !hasMinP ? early.extra : 0);
  if (topK !== null) {
    const room = (topK - count) * (early.listed.at(-1) ?? 0);
    return { size: count, isClosed: false, least: 0, most: Math.min(most, room) };
  }
  if (hasMinP) return { size: count, isClosed: false, least: extraPasses ? early.extra : 0, most };
  return { size: count, isClosed: false, least: early.extra + early.least, most };
}

const at = (values: number[], index: number) => values[index] ?? 0;
