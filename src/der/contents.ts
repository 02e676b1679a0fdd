import { DerError } from './der-error.js'

// What X.690 says of the contents of a type, whatever tag they stand behind. Each throws {@link DerError}.

/** X.690 §11.1: 0x00 and 0xFF only. */
export function checkBoolean(bytes: Uint8Array, start: number, end: number): void {
  const value = bytes[start]
  if (end - start !== 1 || (value !== 0 && value !== 0xff)) throw new DerError('BOOLEAN is neither 00 nor FF', start)
}

/** X.690 §8.3.2: two's complement in the fewest octets. */
export function checkInteger(bytes: Uint8Array, start: number, end: number): void {
  if (start === end) throw new DerError('INTEGER is empty', start)
  if (end - start === 1) return
  const [first, second] = [bytes[start] as number, bytes[start + 1] as number]
  if ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)) {
    throw new DerError('INTEGER is not minimal', start)
  }
}

/** X.690 §8.6.2, §11.2.1: how many bits of the last octet are unused, and they are zero. */
export function checkBitString(bytes: Uint8Array, start: number, end: number): void {
  const unused = bytes[start] as number
  if (end === start || unused > 7 || (end - start === 1 && unused !== 0)) {
    throw new DerError('BIT STRING is malformed', start)
  }
  if (end - start > 1 && ((bytes[end - 1] as number) & ((1 << unused) - 1)) !== 0) {
    throw new DerError('BIT STRING has set unused bits', end - 1)
  }
}

/** X.690 §8.8.2. */
export function checkNull(start: number, end: number): void {
  if (start !== end) throw new DerError('NULL is not empty', start)
}
