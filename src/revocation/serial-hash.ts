import { randomFillSync } from 'node:crypto'
import { limits } from '../limits.js'

/** The longest contents of a serial number: 20 octets, and one for the sign. */
const serialOctets = limits.serialNumberBytes + 1

/** Rows of 256: one for each octet of whole words, one for the length, two for the issuer. */
const lengthRow = (serialOctets + 3 - ((serialOctets + 3) % 4)) << 8
const issuerRow = lengthRow + 256

/**
 * One row of random numbers for every octet of a serial number, and two for its issuer: 23 KB, made once in a process. The hash is what simple
 * tabulation makes of them (Pătraşcu and Thorup 2012): whoever chooses serial numbers without knowing the rows cannot make them meet.
 */
const rows = randomFillSync(new Uint32Array(issuerRow + 512))

/**
 * 32 bits for the serial number of `length` octets at `start`, on top of what {@link hashIssuer} said. At most 21 octets, and at least three
 * more must follow them: they are read by words.
 */
export function hashSerial(view: DataView, start: number, length: number, issuerHash: number): number {
  let hash = issuerHash ^ (rows[lengthRow | length] as number)
  let row = 0
  let rest = length
  for (let at = start; rest > 0; at += 4, rest -= 4, row += 1024) {
    const word = rest >= 4 ? view.getUint32(at) : view.getUint32(at) >>> (32 - 8 * rest)
    hash ^=
      (rows[row | (word >>> 24)] as number) ^
      (rows[(row + 256) | ((word >>> 16) & 0xff)] as number) ^
      (rows[(row + 512) | ((word >>> 8) & 0xff)] as number) ^
      (rows[(row + 768) | (word & 0xff)] as number)
  }
  return hash >>> 0
}

/** The part of the hash that an issuer has: CAs that each count from 1 do not meet. */
export const hashIssuer = (issuer: number): number =>
  (rows[issuerRow | (issuer & 0xff)] as number) ^ (rows[(issuerRow + 256) | (issuer >> 8)] as number)

export const isHashable = (serialNumber: Uint8Array): boolean =>
  serialNumber.length > 0 && serialNumber.length <= serialOctets

const padded = new Uint8Array(serialOctets + 3)
const paddedView = new DataView(padded.buffer)

/** A serial number with the three octets after it that {@link hashSerial} wants. Holds until the next call. */
export function serialView(serialNumber: Uint8Array): DataView {
  padded.set(serialNumber)
  return paddedView
}
