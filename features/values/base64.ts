const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Bytes of standard base64 (padding optional). */
export function decodeBase64(text: string): Uint8Array {
  const clean = text.replace(/=+$/, '')
  const bytes = new Uint8Array(Math.floor((clean.length * 3) / 4))
  let bits = 0
  let held = 0
  let at = 0
  for (const char of clean) {
    held = ((held << 6) | BASE64.indexOf(char)) & 0xffffff
    bits += 6
    if (bits >= 8) bytes[at++] = (held >> (bits -= 8)) & 0xff
  }
  return bytes
}

/** Standard base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const held = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const left = bytes.length - i
    text +=
      BASE64[held >> 18] +
      BASE64[(held >> 12) & 63] +
      (left > 1 ? BASE64[(held >> 6) & 63] : '=') +
      (left > 2 ? BASE64[held & 63] : '=')
  }
  return text
}
