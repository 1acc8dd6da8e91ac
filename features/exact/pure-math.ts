import { acos, asin, atan, atan2 } from './functions/arc.ts'
import { cos, sin, tan } from './functions/circular.ts'
import { cosh, exp, expm1, sinh, tanh } from './functions/exponential.ts'
import { acosh, asinh, atanh, log, log10, log1p, log2 } from './functions/logarithm.ts'
import { cbrt, hypot, pow } from './functions/power.ts'

/**
 * ECMAScript's transcendental Math, correctly rounded: each result is the double nearest to the mathematical value, so it is the same on every engine
 * and processor, and in every version of this code. Engines promise neither ("implementation-approximated", ECMA-262 §21.3.2). Special cases (NaN, ±0,
 * ±∞) are ECMA-262's. A double-double evaluation decides all but about one argument in 2^27; those go to fixed point of as many bits as they need
 * (Ziv 1991; the scheme of CORE-MATH, Sibidanov, Zimmermann, Glondu 2022). Built on + − × ÷ √, which IEEE 754 rounds correctly, and bigint.
 */
export const PURE_FUNCTIONS: Readonly<Record<string, (...numbers: number[]) => number>> = Object.freeze({
  exp,
  expm1,
  log,
  log1p,
  log2,
  log10,
  pow,
  cbrt,
  hypot,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  atan2,
  sinh,
  cosh,
  tanh,
  asinh,
  acosh,
  atanh,
})
