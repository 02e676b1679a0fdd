import { checkWellFormed, DerError, DerReader, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { attributeName, attributeType } from './oid.js'
import { decodeString } from './text.js'

/** One attribute of a relative distinguished name. */
export class AttributeTypeAndValue {
  /** Dotted object identifier of the attribute type. */
  readonly type: string
  /** The value as text; undefined where the value is no character string, or one without an agreed meaning. */
  readonly value: string | undefined
  /** ASN.1 identifier octet of the value. */
  readonly tag: number
  // The contents octets of the value, as a place in what was read: most values are never looked at as octets.
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #end: number

  constructor(type: string, tag: number, bytes: Uint8Array, start: number, end: number) {
    if ((tag & 0x20) !== 0) checkWellFormed(bytes, start, end)
    this.type = type
    this.tag = tag
    this.value = decodeString(tag, bytes, start, end)
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Contents octets of the value: a copy. */
  get octets(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, this.#start, this.#end)
  }

  /** The value whole in DER, as hexadecimal. */
  get hex(): string {
    return hexOf(this.tag, this.octets)
  }
}

export type RelativeDistinguishedName = readonly AttributeTypeAndValue[]

/** Types whose values compare as text: RFC 5280 §7.1 names the first two, §7.3 IA5String for domainComponent. */
const comparable: ReadonlySet<number> = new Set([Tag.utf8String, Tag.printableString, Tag.ia5String, Tag.numericString])

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
  /** The Name as it was read; undefined where it was made from text. */
  readonly #der: Uint8Array | undefined
  #text: string | undefined
  #key: string | undefined

  private constructor(rdns: readonly RelativeDistinguishedName[], der?: Uint8Array) {
    this.rdns = rdns
    this.#der = der
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
   * @param known a name that may stand there again: the issuer of a self-signed certificate is its subject
   */
  static read(reader: DerReader, known?: DistinguishedName): DistinguishedName {
    const from = reader.position
    const sequence = reader.enter()
    const der = reader.bytes.subarray(from, reader.position)
    if (known !== undefined && known.#der !== undefined && Buffer.compare(known.#der, der) === 0) return known
    const rdns: RelativeDistinguishedName[] = []
    while (sequence.peek() !== -1) {
      if (rdns.length === limits.nameParts) throw new DerError('name has too many parts', sequence.position)
      rdns.push(readRdn(sequence))
    }
    return new DistinguishedName(rdns, der)
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

  /** RFC 5280 §7.1: equal relative distinguished names in equal order. */
  equals(other: DistinguishedName): boolean {
    if (this === other) return true
    // Equal octets are equal names; different ones may still be.
    if (this.#der !== undefined && other.#der !== undefined && Buffer.compare(this.#der, other.#der) === 0) return true
    return this.comparisonKey === other.comparisonKey
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
  *prefixKeys(): Generator<string, void, void> {
    let key = ''
    yield key
    for (const rdn of this.rdns) {
      key += rdnKey(rdn)
      yield key
    }
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

function readRdn(sequence: DerReader): RelativeDistinguishedName {
  return readAttributes(sequence.enter(Tag.set))
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
  // A list that grew keeps room for sixteen more; nearly every name part is one attribute, and stores hold many names.
  return attributes.length === 1 ? [attributes[0] as AttributeTypeAndValue] : attributes
}

/** Injective: every part carries its length, so that no value can imitate a boundary. */
function rdnKey(rdn: RelativeDistinguishedName): string {
  if (rdn.length === 1) return `1${attributeKey(rdn[0] as AttributeTypeAndValue)}`
  return rdn.length + rdn.map(attributeKey).sort().join('')
}

function attributeKey(attribute: AttributeTypeAndValue): string {
  const { type, tag, value } = attribute
  const text = value !== undefined && comparable.has(tag) ? `t${prepare(value)}` : `b${attribute.hex}`
  return `{${type}=${text.length}:${text}}`
}

/**
 * RFC 4518 string preparation as RFC 5280 §7.1 asks: map (case folded, invisible characters dropped, white space to space),
 * normalise to NFKC, and treat runs of spaces and outer spaces as insignificant.
 */
export function prepare(value: string): string {
  const mapped = /^[\x20-\x7e]*$/.test(value) ? value.toLowerCase() : foldUnicode(value)
  return mapped.includes('  ') || mapped.startsWith(' ') || mapped.endsWith(' ')
    ? mapped.replace(/ +/g, ' ').replace(/^ | $/g, '')
    : mapped
}

/** RFC 4518 §2.2: white space becomes a space; controls, format and variation characters become nothing. */
const whiteSpace = /[\t\n\v\f\r\u0085\p{Zs}\p{Zl}\p{Zp}]/gu
const invisible = /[\p{Cc}\p{Cf}\u1806\ufffc]|\u034f|\p{Variation_Selector}/gu

/** More combining marks in a row than stream-safe text has (UAX #15 §13); ordering n of them takes NFKC n² steps. */
const tooManyMarks = /[\p{M}\uff9e\uff9f]{31}/u

function foldUnicode(value: string): string {
  const visible = value.replace(whiteSpace, ' ').replace(invisible, '')
  if (tooManyMarks.test(visible)) return value // compared as it stands: no writing system needs it, and a peer may write 28 KB of them
  const mapped = visible.normalize('NFKC')
  // RFC 3454 B.2 folds ß to ss and ς to σ: by way of upper case, which is where they meet. It leaves ı alone, whose upper case is I:
  // 'admın' is not 'admin'. Test: 'ı is not i (RFC 3454 table B.2)'.
  const folded = mapped.replace(/[^ı]+/g, (part) => part.toLowerCase().toUpperCase().toLowerCase())
  return folded.replaceAll('ς', 'σ').normalize('NFKC')
}

// RFC 4514 text ----------------------------------------------------------------------------------------------------

function formatRdn(rdn: RelativeDistinguishedName): string {
  return rdn.map(formatAttribute).join('+')
}

function formatAttribute(attribute: AttributeTypeAndValue): string {
  const { type, tag, value } = attribute
  const name = attributeName(type)
  // §2.4: a dotted type, or a value without a string form, is written as the hexadecimal of its encoding.
  if (name === undefined || value === undefined || !comparable.has(tag)) {
    return `${name ?? type}=#${attribute.hex}`
  }
  return `${name}=${escapeValue(value)}`
}

/** What needs no look at it: most values. */
const plainValue = /^[A-Za-z0-9](?:[A-Za-z0-9 .:/@_-]*[A-Za-z0-9])?$/

function escapeValue(value: string): string {
  if (plainValue.test(value)) return value
  let text = value
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, (run) =>
      encodeURIComponent(run).replaceAll('%', '\\'),
    )
  if (value.startsWith(' ') || value.startsWith('#')) text = `\\${text}`
  if (value.length > 1 && value.endsWith(' ')) text = `${text.slice(0, -1)}\\ `
  return text
}

function hexOf(tag: number, octets: Uint8Array): string {
  const length = octets.length
  const header = length < 0x80 ? [tag, length] : [tag, ...longLength(length)]
  return Buffer.concat([Uint8Array.from(header), octets]).toString('hex')
}

function longLength(length: number): number[] {
  const octets: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) octets.unshift(rest & 0xff)
  return [0x80 | octets.length, ...octets]
}

function parseText(text: string): RelativeDistinguishedName[] {
  const rdns: RelativeDistinguishedName[] = []
  let at = 0
  const fail = (reason: string) =>
    new SyntaxError(`distinguished name ${JSON.stringify(text)}, character ${at}: ${reason}`)
  if (text.trim() === '') return []
  for (;;) {
    const attributes: AttributeTypeAndValue[] = []
    for (;;) {
      const equals = text.indexOf('=', at)
      const written = text.slice(at, equals < 0 ? undefined : equals).trim()
      const type = equals < 0 ? undefined : attributeType(written)
      if (type === undefined) throw fail(equals < 0 ? 'expected TYPE=value' : `unknown attribute type "${written}"`)
      at = equals + 1
      const [attribute, next] = parseValue(text, at, type, fail)
      attributes.push(attribute)
      at = next
      if (text[at] !== '+') break
      at++
    }
    rdns.unshift(attributes)
    if (at === text.length) return rdns
    if (text[at] !== ',' && text[at] !== ';') throw fail(`unexpected ${JSON.stringify(text[at])}`)
    at++
  }
}

function parseValue(
  text: string,
  from: number,
  type: string,
  fail: (reason: string) => SyntaxError,
): [AttributeTypeAndValue, number] {
  let at = from
  while (text[at] === ' ') at++
  if (text[at] === '#') {
    const hex = /^#((?:[0-9a-fA-F]{2})+) *(?=[,;+]|$)/.exec(text.slice(at))
    if (hex === null) throw fail('expected hexadecimal octets after #')
    return [attributeFromHex(type, hex[1] as string, fail), at + hex[0].length]
  }
  const octets: number[] = []
  const quoted = text[at] === '"'
  if (quoted) at++
  let keep = 0 // octets up to here end in something other than an unescaped space
  for (;;) {
    const c = text.codePointAt(at)
    if (c === undefined) {
      if (quoted) throw fail('unclosed quotation mark')
      break
    }
    if (c >= 0xd800 && c < 0xe000) throw fail('half of a surrogate pair')
    const character = String.fromCodePoint(c)
    if (quoted ? character === '"' : ',;+'.includes(character)) break
    if (!quoted && '"<>'.includes(character)) throw fail(`${character} must be escaped with a backslash`)
    if (character === '\\') {
      const hex = /^[0-9a-fA-F]{2}/.exec(text.slice(at + 1, at + 3))
      if (hex === null && !/^[ "#+,;<=>\\]/.test(text.slice(at + 1))) throw fail('bad escape')
      octets.push(hex === null ? text.charCodeAt(at + 1) : Number.parseInt(hex[0], 16))
      at += hex === null ? 2 : 3
      keep = octets.length
      continue
    }
    octets.push(...Buffer.from(character))
    at += character.length
    if (character !== ' ' || quoted) keep = octets.length
  }
  if (quoted) {
    at++
    while (text[at] === ' ') at++
  }
  const value = Uint8Array.from(octets.slice(0, keep))
  return [fromOctets(type, Tag.utf8String, value, fail), at]
}

function attributeFromHex(type: string, hex: string, fail: (reason: string) => SyntaxError): AttributeTypeAndValue {
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
  try {
    const reader = new DerReader(bytes)
    reader.next()
    reader.finish()
    return new AttributeTypeAndValue(type, reader.tag, bytes, reader.start, reader.end)
  } catch (error) {
    if (error instanceof DerError) throw fail(`the octets after # are not DER: ${error.message}`)
    throw error
  }
}

function fromOctets(
  type: string,
  tag: number,
  octets: Uint8Array,
  fail: (reason: string) => SyntaxError,
): AttributeTypeAndValue {
  try {
    return new AttributeTypeAndValue(type, tag, octets, 0, octets.length)
  } catch (error) {
    if (error instanceof DerError) throw fail(error.message)
    throw error
  }
}
