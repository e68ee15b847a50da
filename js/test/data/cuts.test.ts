import { expect, test } from "vitest";
import file from "../../../tests/fixtures/sampling_vectors.json" with { type: "json" };
import { type SamplerOrder, samplingBounds } from "../../src/data/cuts.ts";
import { atTemperature } from "../../src/data/temperature.ts";

interface Vector {
  id: string;
  inputs: {
    logprobs: number[];
    temperature: number;
    order: string;
    top_k?: number;
    top_p?: number;
    min_p?: number;
    vocab_size?: number;
    unlisted?: number;
  };
  expected: { certain: boolean[]; possible: boolean[]; lower: number[]; upper: number[]; rest: number[] };
}

const vectors = file.vectors as Vector[];

// The same vectors that test deluge_nb/stats/temperature/cuts.py.
test.each(vectors)("$id: the bounds equal those of deluge_nb.stats", ({ inputs, expected }) => {
  const settings = {
    temperature: inputs.temperature,
    topK: inputs.top_k ?? null,
    topP: inputs.top_p ?? null,
    minP: inputs.min_p ?? null,
    order: inputs.order as SamplerOrder,
  };
  const got = samplingBounds(inputs.logprobs, settings, inputs.vocab_size ?? null, inputs.unlisted ?? null);
  expect(got.certain).toEqual(expected.certain);
  expect(got.possible).toEqual(expected.possible);
  for (const side of ["lower", "upper", "rest"] as const)
    expected[side].forEach((bound, at) => {
      expect(Math.abs((got[side][at] ?? 0) - bound), `${side} ${at}`).toBeLessThan(1e-11);
    });
});

test.each([0, 0.5, 1, 1.7])("without cuts, at temperature %d, only the temperature counts", (temperature) => {
  const logprobs = [0.5, 0.2, 0.1].map(Math.log);
  const settings = { temperature, topK: null, topP: null, minP: null, order: "vllm" as const };
  for (const size of [null, 1000]) {
    const expected = atTemperature(logprobs, temperature, size);
    const got = samplingBounds(logprobs, settings, size);
    got.lower.forEach((bound, at) => {
      expect(bound).toBeCloseTo(expected.lower[at] ?? 0, 12);
    });
    got.upper.forEach((bound, at) => {
      expect(bound).toBeCloseTo(expected.upper[at] ?? 0, 12);
    });
    expect(got.rest[0]).toBeCloseTo(expected.rest[0], 12);
  }
});

test("a limit that single precision misses by rounding is reached", () => {
  const single = [0.5, 0.3, 0.2].map((p) => Math.fround(Math.log(p)));
  const settings = { temperature: 1, topK: null, topP: 0.8, minP: null, order: "vllm" as const };
  expect(samplingBounds(single, settings, null).certain).toEqual([true, true, false]);
  expect(samplingBounds(single, { ...settings, topP: null, minP: 0.6 }, null).certain).toEqual([
    true,
    true,
    false,
  ]);
});
