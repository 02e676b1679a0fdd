import { OctetMemory } from '../der/octet-memory.js'
import { areOctetsAt } from '../der/octets.js'
import { DerError, DerReader, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { AttributeTypeAndValue, type RelativeDistinguishedName } from './attribute.js'
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
      for (const rdn of this.rdns) frozenRdn(rdn)
      Object.freeze(this.rdns)
      Object.freeze(this)
    }
    return this
  }

  /**
   * Reads the Name the cursor stands on (RFC 5280 §4.1.2.4). Throws {@link DerError}.
   *
   * @param likely is returned where it is written with the same octets
   */
  static read(reader: DerReader, likely?: DistinguishedName): DistinguishedName {
    const from = reader.position
    reader.expect(Tag.sequence)
    const { bytes, end } = reader
    if (likely?.isWrittenAt(bytes, from, end)) return likely
    return issuers.recall(bytes, from, end) ?? new DistinguishedName(readRdns(reader.inside()), bytes, from, end)
  }

  /** The same of an issuer, which is likely to be read again in whatever else it signs: what was computed of it stays with it. */
  static readIssuer(reader: DerReader): DistinguishedName {
    const from = reader.position
    const name = DistinguishedName.read(reader)
    if (name.#bytes !== reader.bytes) return name
    const again = (copy: Uint8Array) => DistinguishedName.read(new DerReader(copy)).freeze()
    return issuers.remember(reader.bytes, from, reader.end, again) ?? name
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
    if (own === undefined || this.#end - from !== end - start) return false
    return areOctetsAt(own, from, bytes, start, end)
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
      // Joined, which makes one text of the parts: what is added up keeps them.
      this.#key = this.rdns.map(rdnKey).join('')
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

/** A service reads the names of the same few issuers again and again. A name is data and no verdict. */
const issuers = new OctetMemory<DistinguishedName>(256)

function readRdns(sequence: DerReader): RelativeDistinguishedName[] {
  const rdns: RelativeDistinguishedName[] = []
  while (sequence.peek() !== -1) {
    if (rdns.length === limits.nameParts) throw new DerError('name has too many parts', sequence.position)
    rdns.push(readRdn(sequence))
  }
  // A list that grew keeps room for sixteen more, and stores hold many names.
  return rdns.slice()
}

/** Countries, organisations, domains: what the names of one organisation begin with. */
const repeated = new OctetMemory<RelativeDistinguishedName>(64)

function readRdn(sequence: DerReader): RelativeDistinguishedName {
  const at = sequence.position
  sequence.expect(Tag.set)
  const { bytes, end } = sequence
  const known = repeated.recall(bytes, at, end)
  if (known !== undefined) return known
  const rdn = readAttributes(sequence.inside())
  const again = (copy: Uint8Array) => frozenRdn(readAttributes(new DerReader(copy).enter(Tag.set)))
  return repeated.remember(bytes, at, end, again) ?? rdn
}

function frozenRdn(rdn: RelativeDistinguishedName): RelativeDistinguishedName {
  for (const attribute of rdn) Object.freeze(attribute)
  return Object.freeze(rdn)
}

function readAttributes(set: DerReader): RelativeDistinguishedName {
  if (set.peek() === -1) throw new DerError('relative distinguished name is empty', set.position)
  let from = set.position
  const first = readAttribute(set)
  // Nearly every name part is one attribute.
  if (set.peek() === -1) return [first]
  const attributes = [first]
  do {
    if (attributes.length === limits.nameParts) throw new DerError('name has too many parts', set.position)
    const previous = set.bytes.subarray(from, set.position)
    from = set.position
    attributes.push(readAttribute(set))
    // X.690 §11.6: the elements of a SET OF stand in ascending order of their encodings.
    if (Buffer.compare(previous, set.bytes.subarray(from, set.position)) > 0) {
      throw new DerError('SET OF is not in order', from)
    }
  } while (set.peek() !== -1)
  return attributes
}

function readAttribute(set: DerReader): AttributeTypeAndValue {
  const pair = set.enter()
  const type = pair.oid()
  pair.next()
  const attribute = new AttributeTypeAndValue(type, pair.tag, pair.bytes, pair.start, pair.end)
  pair.finish()
  return attribute
}

function prefixKeysOf(rdns: readonly RelativeDistinguishedName[]): readonly string[] {
  const keys = ['']
  for (const rdn of rdns) keys.push(keys.at(-1) + rdnKey(rdn))
  return Object.freeze(keys)
}

/** Injective: every part carries its length, so that no value can imitate a boundary. */
function rdnKey(rdn: RelativeDistinguishedName): string {
  if (rdn.length === 1) return `1${(rdn[0] as AttributeTypeAndValue).comparisonKey}`
  return (
    rdn.length +
    rdn
      .map(({ comparisonKey }) => comparisonKey)
      .sort()
      .join('')
  )
}
