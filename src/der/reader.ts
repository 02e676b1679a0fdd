import { limits } from '../limits.js'
import { checkBoolean, checkInteger, checkNull } from './contents.js'
import { DerError } from './der-error.js'
import { decodeOid } from './oid.js'
import { decodeTime } from './time.js'

export { DerError } from './der-error.js'

/** Identifier octets used in X.509 (X.690 §8.1.2). The high-tag-number form occurs nowhere and is refused. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** Context-specific tags: `implicit(n)` of a primitive, `explicit(n)` of a constructed type. */
export const implicit = (n: number): number => 0x80 | n
export const explicit = (n: number): number => 0xa0 | n

/**
 * A cursor over the elements of one constructed DER value (X.690 §10, §11). It reads definite, minimal lengths only,
 * copies nothing and never recurses: going down is making another cursor with `enter`. Every method throws {@link DerError}.
 *
 * After `next`, `tag`, `start` and `end` describe the element just read: its contents are `bytes[start..end)`.
 */
export class DerReader {
  /** @internal V8 forgets how code was made fast for objects of which none is left: this one is, however long nothing is read. */
  static readonly lasting = new DerReader(new Uint8Array())

  readonly bytes: Uint8Array
  readonly #limit: number
  readonly #depth: number
  #position: number
  tag = -1
  start = 0
  end = 0

  constructor(bytes: Uint8Array, start = 0, end = bytes.length, depth = 0) {
    if (depth > limits.derDepth) throw new DerError('nesting is too deep', start)
    this.bytes = bytes
    this.#position = start
    this.#limit = end
    this.#depth = depth
  }

  /** Offset of the next element's identifier octet. */
  get position(): number {
    return this.#position
  }

  /** The next identifier octet, or -1 at the end. */
  peek(): number {
    return this.#position < this.#limit ? (this.bytes[this.#position] as number) : -1
  }

  /** Throws unless every octet has been read. */
  finish(): void {
    if (this.#position !== this.#limit) throw new DerError('unexpected element or trailing octets', this.#position)
  }

  /** Reads the header of the next element and steps over it. */
  next(): void {
    const { bytes } = this
    const limit = this.#limit
    let at = this.#position
    if (limit - at < 2) throw new DerError('element is cut off', at)
    const tag = bytes[at++] as number
    if ((tag & 0x1f) === 0x1f) throw new DerError('high tag number', at - 1)
    let length = bytes[at++] as number
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets === 0) throw new DerError('indefinite length', at - 1)
      if (octets > 4) throw new DerError('length is too large', at - 1)
      if (limit - at < octets) throw new DerError('element is cut off', at)
      if (bytes[at] === 0) throw new DerError('length is not minimal', at)
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at++] as number)
      if (length < 0x80) throw new DerError('length is not minimal', at - 1)
    }
    if (length > limit - at) throw new DerError('element is longer than what holds it', at)
    this.tag = tag
    this.start = at
    this.end = at + length
    this.#position = at + length
  }

  /** Reads the next element, which must have this tag. */
  expect(tag: number): void {
    const at = this.#position
    this.next()
    if (this.tag !== tag) {
      throw new DerError(`expected tag 0x${hex2(tag)}, found 0x${hex2(this.tag)}`, at)
    }
  }

  /** A cursor over the contents of the element just read. */
  inside(): DerReader {
    return new DerReader(this.bytes, this.start, this.end, this.#depth + 1)
  }

  /** Reads a constructed element with this tag and returns a cursor over its contents. */
  enter(tag: number = Tag.sequence): DerReader {
    this.expect(tag)
    return this.inside()
  }

  /** Contents of the element just read, without a copy. */
  contents(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The next element whole (identifier, length, contents), without a copy. */
  element(tag?: number): Uint8Array {
    const from = this.#position
    if (tag === undefined) this.next()
    else this.expect(tag)
    return this.bytes.subarray(from, this.end)
  }

  boolean(tag: number = Tag.boolean): boolean {
    this.expect(tag)
    checkBoolean(this.bytes, this.start, this.end)
    return this.bytes[this.start] === 0xff
  }

  /** INTEGER contents, two's complement in the fewest octets (X.690 §8.3.2). */
  integer(tag: number = Tag.integer): Uint8Array {
    this.expect(tag)
    checkInteger(this.bytes, this.start, this.end)
    return this.contents()
  }

  /**
   * INTEGER or ENUMERATED that may not be negative, as a number. Values above 2^53 - 1 come back as Infinity: they are
   * legal counters, larger than anything counted, and must never wrap round to a small one.
   */
  nonNegative(tag: number = Tag.integer): number {
    this.expect(tag)
    checkInteger(this.bytes, this.start, this.end)
    if (((this.bytes[this.start] as number) & 0x80) !== 0) throw new DerError('INTEGER is negative', this.start)
    let value = 0
    for (let i = this.start; i < this.end; i++) {
      value = value * 256 + (this.bytes[i] as number)
      if (value > Number.MAX_SAFE_INTEGER) return Number.POSITIVE_INFINITY
    }
    return value
  }

  /** OBJECT IDENTIFIER as dotted text. */
  oid(tag: number = Tag.oid): string {
    this.expect(tag)
    return decodeOid(this.bytes, this.start, this.end)
  }

  /** OBJECT IDENTIFIER as the contents this cursor is over: an identifier with an implicit tag. */
  oidContents(): string {
    const from = this.#position
    this.#position = this.#limit
    return decodeOid(this.bytes, from, this.#limit)
  }

  octetString(tag: number = Tag.octetString): Uint8Array {
    this.expect(tag)
    return this.contents()
  }

  /** BIT STRING whose length in bits is a multiple of eight: signatures and keys. */
  bitStringOctets(tag: number = Tag.bitString): Uint8Array {
    return this.bytes.subarray(this.bitStringStart(tag), this.end)
  }

  /** The same as a place: where those octets begin. They end at `end`. */
  bitStringStart(tag: number = Tag.bitString): number {
    this.expect(tag)
    if (this.end === this.start || this.bytes[this.start] !== 0) {
      throw new DerError('BIT STRING is not whole octets', this.start)
    }
    return this.start + 1
  }

  /**
   * BIT STRING with a named bit list, as a number with bit n of the list at `1 << n`: X.690 §11.2 wants unused bits zero
   * and no trailing zero bits. Up to 24 bits.
   */
  namedBits(tag: number = Tag.bitString): number {
    this.expect(tag)
    const { bytes, start, end } = this
    const unused = bytes[start] as number
    const octets = end - start - 1
    if (octets < 0 || unused > 7 || octets > 3) throw new DerError('BIT STRING is malformed', start)
    if (octets === 0) {
      if (unused !== 0) throw new DerError('BIT STRING is malformed', start)
      return 0
    }
    const last = bytes[end - 1] as number
    if ((last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0) {
      throw new DerError('BIT STRING has trailing zero bits or set unused bits', end - 1)
    }
    let value = 0
    for (let i = 0; i < octets * 8; i++) {
      if (((bytes[start + 1 + (i >> 3)] as number) & (0x80 >> (i & 7))) !== 0) value |= 1 << i
    }
    return value
  }

  null(): void {
    this.expect(Tag.null)
    checkNull(this.start, this.end)
  }

  /** UTCTime or GeneralizedTime, in milliseconds since 1970. */
  time(): number {
    const at = this.#position
    this.next()
    if (this.tag !== Tag.utcTime && this.tag !== Tag.generalizedTime) throw new DerError('expected a time', at)
    return decodeTime(this.bytes, this.start, this.end, this.tag === Tag.generalizedTime)
  }
}

const hex2 = (n: number) => n.toString(16).padStart(2, '0')
