import { DerError, type DerReader } from '../der/reader.js'
import { limits } from '../limits.js'

/**
 * INTEGER contents of a serial number. RFC 5280 §4.1.2.2 asks CAs for a positive number of at most 20 octets. Zero and negative ones are read,
 * as the same section asks of us ("should be prepared to gracefully handle"): PKITS 4.4.14 and private CAs have them.
 * Test: 'a negative serial number is read'.
 */
export function readSerialNumber(reader: DerReader, name = 'serialNumber'): Uint8Array {
  const contents = reader.integer()
  // A 20-octet number whose top bit is set takes a 21st octet, which is zero.
  const octets = contents[0] === 0 ? contents.length - 1 : contents.length
  if (octets > limits.serialNumberBytes) throw new DerError(`${name} is longer than 20 octets`, reader.start)
  return contents
}
