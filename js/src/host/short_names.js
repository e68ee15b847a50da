// Short names for what the bundles use dozens of times: esbuild puts them in place of the long ones (see build.mjs).

const { abs, exp, floor, log, max, min } = Math;
const { isNaN: isNotNumber, NaN: notNumber, NEGATIVE_INFINITY: least, POSITIVE_INFINITY: most } = Number;

export {
  abs as "Math.abs",
  exp as "Math.exp",
  floor as "Math.floor",
  isNotNumber as "Number.isNaN",
  least as "Number.NEGATIVE_INFINITY",
  log as "Math.log",
  max as "Math.max",
  min as "Math.min",
  most as "Number.POSITIVE_INFINITY",
  notNumber as "Number.NaN",
};
