import { DerError, type DerReader, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { AttributeTypeAndValue, attributeKey, type RelativeDistinguishedName } from './attribute.js'
import { formatRdn, parseText } from './name-text.js'
import { attributeType } from './oid.js'

export { AttributeTypeAndValue, prepare, type RelativeDistinguishedName } from './attribute.js'

/**
 * A distinguished name as the tree it is: a sequence of relative distinguished names, each a set of attributes.
 * `toString` is RFC 4514 text (most specific attribute first); `equals` is RFC 5280 §7.1 comparison.
 *
 * @example
 * const name = DistinguishedName.parse('CN=alice,O=Acme\\, Inc.')
 * name.get('CN')                                                  // 'alice'
 * name.equals(DistinguishedName.parse('cn=ALICE,o=acme\\,  inc.')) // true
 */
export class DistinguishedName {
  /** In encoding order: the least specific first. */
  readonly rdns: readonly RelativeDistinguishedName[]
  /** Where the Name stands in what was read; undefined where it was made from text. */
  readonly #bytes: Uint8Array | undefined
  readonly #start: number
  readonly #end: number
  #text: string | undefined
  #key: string | undefined
  #prefixKeys: readonly string[] | undefined

  private constructor(rdns: readonly RelativeDistinguishedName[], bytes?: Uint8Array, start = 0, end = 0) {
    this.rdns = rdns
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Freezes the tree, before it is handed to an application. */
  freeze(): this {
    if (!Object.isFrozen(this)) {
      for (const rdn of this.rdns) {
        for (const attribute of rdn) Object.freeze(attribute)
        Object.freeze(rdn)
      }
      Object.freeze(this.rdns)
      Object.freeze(this)
    }
    return this
  }

  /**
   * Reads the Name the cursor stands on (RFC 5280 §4.1.2.4). Throws {@link DerError}.
   *
   * @param isIssuer it is likely to be read again, in whatever else this issuer signs
   */
  static read(reader: DerReader, isIssuer = false): DistinguishedName {
    const from = reader.position
    reader.expect(Tag.sequence)
    const { bytes, end } = reader
    const slot = slotOf(bytes, from, end)
    const known = issuers[slot]
    if (known?.isWrittenAt(bytes, from, end)) return known
    const name = new DistinguishedName(readRdns(reader.inside()), bytes, from, end)
    if (isIssuer && bytes.length <= rememberedOctets) issuers[slot] = name
    return name
  }

  /** Reads one RelativeDistinguishedName as a name below `base`: a distribution point's nameRelativeToCRLIssuer. */
  static relativeTo(base: DistinguishedName, set: DerReader): DistinguishedName {
    return new DistinguishedName([...base.rdns, readAttributes(set)])
  }

  /**
   * Reads RFC 4514 text; also openssl's spaces around `=` and .NET's `S=`, `E=`. The most specific attribute comes first.
   * Throws {@link SyntaxError} that says what is wrong and where.
   */
  static parse(text: string): DistinguishedName {
    return new DistinguishedName(parseText(text))
  }

  /** The same relative distinguished names in the other order: what openssl's one-line form is to RFC 4514. */
  reversed(): DistinguishedName {
    return new DistinguishedName([...this.rdns].reverse())
  }

  /** The Name whole, as it was read: a copy, because applications get names. Undefined where it was made from text. */
  get der(): Uint8Array | undefined {
    return this.#bytes && new Uint8Array(this.#bytes.subarray(this.#start, this.#end))
  }

  get isEmpty(): boolean {
    return this.rdns.length === 0
  }

  /**
   * The value of an attribute type, by descriptor (`'CN'`) or identifier (`'2.5.4.3'`), if the name has exactly one, and as
   * text; undefined otherwise, so that a second common name can never be overlooked.
   */
  get(type: string): string | undefined {
    const found = this.#attributes(type)
    return found.length === 1 ? found[0]?.value : undefined
  }

  /** Every textual value of an attribute type, the most specific first. */
  all(type: string): readonly string[] {
    return this.#attributes(type).flatMap(({ value }) => (value === undefined ? [] : [value]))
  }

  #attributes(type: string): AttributeTypeAndValue[] {
    const identifier = attributeType(type)
    const found: AttributeTypeAndValue[] = []
    for (let i = this.rdns.length - 1; i >= 0; i--) {
      for (const attribute of this.rdns[i] as RelativeDistinguishedName) {
        if (attribute.type === identifier) found.push(attribute)
      }
    }
    return found
  }

  /** The same octets: for where equal names spelt differently are two identities. */
  isWrittenAs(other: DistinguishedName): boolean {
    return other.#bytes !== undefined && this.isWrittenAt(other.#bytes, other.#start, other.#end)
  }

  /** The same octets, which stand in `bytes[start..end)`. */
  isWrittenAt(bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#bytes
    const from = this.#start
    const length = this.#end - from
    if (own === undefined || length !== end - start) return false
    for (let i = 0; i < length; i++) if (own[from + i] !== bytes[start + i]) return false
    return true
  }

  /** RFC 5280 §7.1: equal relative distinguished names in equal order. */
  equals(other: DistinguishedName): boolean {
    // Equal octets are equal names; different ones may still be.
    if (this === other || this.isWrittenAs(other)) return true
    if (this.rdns.length !== other.rdns.length) return false
    if (this.#key !== undefined && other.#key !== undefined) return this.#key === other.#key
    // From the most specific on, where names of one organisation differ: most comparisons end with the first.
    for (let i = this.rdns.length - 1; i >= 0; i--) {
      if (rdnKey(this.rdns[i] as RelativeDistinguishedName) !== rdnKey(other.rdns[i] as RelativeDistinguishedName))
        return false
    }
    return true
  }

  /** Text that two names share exactly if they are equal under RFC 5280 §7.1. Made for maps, not for people. */
  get comparisonKey(): string {
    if (this.#key === undefined) {
      let key = ''
      for (const rdn of this.rdns) key += rdnKey(rdn)
      this.#key = key
    }
    return this.#key
  }

  /** The comparison keys of this name cut after 0, 1, … of its relative distinguished names: of every name it lies below. */
  get prefixKeys(): readonly string[] {
    this.#prefixKeys ??= prefixKeysOf(this.rdns)
    return this.#prefixKeys
  }

  /** RFC 4514 §2. */
  toString(): string {
    this.#text ??= [...this.rdns].reverse().map(formatRdn).join(',')
    return this.#text
  }

  toJSON(): string {
    return this.toString()
  }
}

/**
 * A direct-mapped memory of issuers' names: a service reads the same few again and again, and what was computed of one (text, comparison key) stays
 * with it. A name is data and no verdict. The octets are compared in full, so that no name is taken for another; the slots are fixed and what a name
 * keeps alive is small, so that strangers can make it forget and nothing else.
 */
const slots = 256
const issuers: (DistinguishedName | undefined)[] = new Array(slots).fill(undefined)
/** A name is a place in the octets it was read from, which live as long as it does. */
const rememberedOctets = 4096

/** FNV-1a over a Name's last octets, where names of one organisation differ. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 ^ (end - start)
  for (let i = Math.max(start, end - 32); i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return (hash ^ (hash >>> 15)) & (slots - 1)
}

function readRdns(sequence: DerReader): RelativeDistinguishedName[] {
  const rdns: RelativeDistinguishedName[] = []
  while (sequence.peek() !== -1) {
    if (rdns.length === limits.nameParts) throw new DerError('name has too many parts', sequence.position)
    rdns.push(readAttributes(sequence.enter(Tag.set)))
  }
  // A list that grew keeps room for sixteen more, and stores hold many names.
  return rdns.slice()
}

function readAttributes(set: DerReader): RelativeDistinguishedName {
  const attributes: AttributeTypeAndValue[] = []
  let previous: Uint8Array | undefined
  do {
    if (attributes.length === limits.nameParts) throw new DerError('name has too many parts', set.position)
    if (set.peek() === -1) throw new DerError('relative distinguished name is empty', set.position)
    const from = set.position
    const pair = set.enter()
    if (attributes.length > 0 || set.peek() !== -1) {
      // X.690 §11.6: the elements of a SET OF stand in ascending order of their encodings.
      const whole = set.bytes.subarray(from, set.end)
      if (previous !== undefined && Buffer.compare(previous, whole) > 0) {
        throw new DerError('SET OF is not in order', from)
      }
      previous = whole
    }
    const type = pair.oid()
    pair.next()
    attributes.push(new AttributeTypeAndValue(type, pair.tag, pair.bytes, pair.start, pair.end))
    pair.finish()
  } while (set.peek() !== -1)
  // The same; and nearly every name part is one attribute.
  return attributes.length === 1 ? [attributes[0] as AttributeTypeAndValue] : attributes
}

function prefixKeysOf(rdns: readonly RelativeDistinguishedName[]): readonly string[] {
  const keys = ['']
  for (const rdn of rdns) keys.push(keys.at(-1) + rdnKey(rdn))
  return Object.freeze(keys)
}

/** Injective: every part carries its length, so that no value can imitate a boundary. */
function rdnKey(rdn: RelativeDistinguishedName): string {
  if (rdn.length === 1) return `1${attributeKey(rdn[0] as AttributeTypeAndValue)}`
  return rdn.length + rdn.map(attributeKey).sort().join('')
}
