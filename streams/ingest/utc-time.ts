const LENGTH = 24
const scratch = new Uint8Array(LENGTH)

/** `YYYY-MM-DDTHH:MM:SS.mmmZ` of years 1970 to 2399 as epoch ms, what Date.parse gives; NaN for every other text. */
export function parseUtcText(text: string): number {
  if (text.length !== LENGTH) return NaN
  for (let i = 0; i < LENGTH; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return NaN
    scratch[i] = code
  }
  return parseUtcBytes(scratch, 0, LENGTH)
}

/** The same of a text's UTF-8 bytes from…to−1. */
export function parseUtcBytes(bytes: Uint8Array, from: number, to: number): number {
  if (to - from !== LENGTH) return NaN
  if (bytes[from + 4] !== 0x2d || bytes[from + 7] !== 0x2d || bytes[from + 10] !== 0x54) return NaN
  if (bytes[from + 13] !== 0x3a || bytes[from + 16] !== 0x3a) return NaN
  if (bytes[from + 19] !== 0x2e || bytes[from + 23] !== 0x5a) return NaN
  const year = digits(bytes, from, from + 4)
  const month = digits(bytes, from + 5, from + 7)
  const day = digits(bytes, from + 8, from + 10)
  const hour = digits(bytes, from + 11, from + 13)
  const minute = digits(bytes, from + 14, from + 16)
  const second = digits(bytes, from + 17, from + 19)
  const millisecond = digits(bytes, from + 20, from + 23)
  // Days 29 to 31 depend on the month, an hour of 24 on the rest: those few are left to Date.parse. Every comparison is false with NaN.
  if (!(year >= 1970 && year < 2400 && month >= 1 && month <= 12 && day >= 1 && day <= 28)) return NaN
  if (!(hour < 24 && minute < 60 && second < 60)) return NaN
  return dayNumber(year, month, day) * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1000 + millisecond
}

/** NaN where a character is no digit. */
function digits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = bytes[i] - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  return value
}

/** Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that a leap day is a year's last (Hinnant, "chrono-compatible low-level date algorithms"). */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const monthFromMarch = month > 2 ? month - 3 : month + 9
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468
}
