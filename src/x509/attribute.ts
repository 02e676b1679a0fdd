import { Tag } from '../der/reader.js'
import { checkElement } from '../der/well-formed.js'
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
  #key: string | undefined

  constructor(type: string, tag: number, bytes: Uint8Array, start: number, end: number) {
    this.type = type
    this.tag = tag
    this.value = decodeString(tag, bytes, start, end)
    if (this.value === undefined) checkElement({ tag, bytes, start, end })
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Contents octets of the value: a copy. */
  get octets(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, this.#start, this.#end)
  }

  /** Text that two attributes share exactly if they are equal. */
  get comparisonKey(): string {
    this.#key ??= keyOf(this)
    return this.#key
  }

  /** The value whole in DER, as hexadecimal. */
  get hex(): string {
    return hexOf(this.tag, this.octets)
  }
}

export type RelativeDistinguishedName = readonly AttributeTypeAndValue[]

/** Types whose values compare as text: RFC 5280 §7.1 names the first two, §7.3 IA5String for domainComponent. */
export const comparable: ReadonlySet<number> = new Set([
  Tag.utf8String,
  Tag.printableString,
  Tag.ia5String,
  Tag.numericString,
])

function keyOf(attribute: AttributeTypeAndValue): string {
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
