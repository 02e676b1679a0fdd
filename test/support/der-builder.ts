import { Certificate } from '../../src/x509/certificate.js'
import { TextName } from '../../src/x509/general-name.js'

/** DER by hand: what asn1js would refuse to write, or would silently repair, is the point of these tests. */

type Octets = Uint8Array | readonly number[]

export const concat = (...parts: readonly Octets[]): Uint8Array =>
  Uint8Array.from(Buffer.concat(parts.map((part) => Uint8Array.from(part))))

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** Identifier octet, the shortest length, contents. */
export function tlv(tag: number, ...contents: readonly Octets[]): Uint8Array {
  const content = concat(...contents)
  return concat([tag], lengthOctets(content.length), content)
}

export function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return [0x80 | octets.length, ...octets]
}

export const seq = (...members: readonly Octets[]) => tlv(0x30, ...members)
/** SET OF in the order given; `sortedSet` is the order DER wants. */
export const set = (...members: readonly Octets[]) => tlv(0x31, ...members)
export const sortedSet = (...members: readonly Uint8Array[]) =>
  tlv(0x31, ...members.toSorted((a, b) => Buffer.compare(a, b)))
/** `[n]` around something constructed. */
export const context = (n: number, ...members: readonly Octets[]) => tlv(0xa0 | n, ...members)
/** `[n] IMPLICIT` of something primitive. */
export const primitive = (n: number, ...contents: readonly Octets[]) => tlv(0x80 | n, ...contents)

export const boolean = (octet: number) => tlv(1, [octet])
export const nothing = () => tlv(5)
export const octetString = (...contents: readonly Octets[]) => tlv(4, ...contents)
export const bitString = (unused: number, ...contents: readonly Octets[]) => tlv(3, [unused], ...contents)
export const text = (tag: number, value: string | Octets) =>
  tlv(tag, typeof value === 'string' ? Buffer.from(value) : value)
export const utf8 = (value: string | Octets) => text(0x0c, value)
export const printable = (value: string | Octets) => text(0x13, value)
export const ia5 = (value: string | Octets) => text(0x16, value)
export const utcTime = (value: string) => text(0x17, value)
export const generalizedTime = (value: string) => text(0x18, value)
export const utf16 = (value: string) => Buffer.from(value, 'utf16le').swap16()

export const integer = (value: number | bigint) => tlv(2, integerOctets(BigInt(value)))

/** Two's complement in the fewest octets. */
export function integerOctets(value: bigint): number[] {
  const octets: number[] = []
  let rest = value
  do {
    octets.unshift(Number(BigInt.asUintN(8, rest)))
    rest >>= 8n
  } while (rest !== 0n && rest !== -1n)
  const negative = ((octets[0] as number) & 0x80) !== 0
  if (negative && value >= 0n) octets.unshift(0)
  if (!negative && value < 0n) octets.unshift(0xff)
  return octets
}

export const oid = (dotted: string) => tlv(6, oidOctets(dotted))

export function oidOctets(dotted: string): number[] {
  const [top, second, ...arcs] = dotted.split('.').map(BigInt) as [bigint, bigint, ...bigint[]]
  return [top * 40n + second, ...arcs].flatMap(base128)
}

function base128(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(Number(rest & 0x7fn) | 0x80)
  return octets
}

export const CN = '2.5.4.3'
export const O = '2.5.4.10'
export const OU = '2.5.4.11'

export const attribute = (type: string, value: Uint8Array) => seq(oid(type), value)
/** RDNs in the order of the DER, each a list of attributes. */
export const name = (...rdns: readonly (readonly Uint8Array[])[]) => seq(...rdns.map((rdn) => sortedSet(...rdn)))
export const commonName = (value: string) => name([attribute(CN, utf8(value))])

export const extension = (identifier: string, value: Uint8Array, critical = false) =>
  seq(oid(identifier), ...(critical ? [boolean(0xff)] : []), octetString(value))

const ecdsaWithSha256 = seq(oid('1.2.840.10045.4.3.2'))
const p256Key = seq(seq(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), bitString(0, [4], new Uint8Array(64)))

/** The fields of a certificate, each as DER: a test replaces the one it is about. `undefined` leaves one out. */
export interface Fields {
  version?: Uint8Array | undefined
  serialNumber?: Uint8Array
  tbsSignature?: Uint8Array
  issuer?: Uint8Array
  validity?: Uint8Array
  subject?: Uint8Array
  publicKey?: Uint8Array
  uniqueIdentifiers?: Uint8Array
  /** The members of Extensions, or undefined for a certificate without any. */
  extensions?: readonly Uint8Array[] | undefined
  afterExtensions?: Uint8Array
  signatureAlgorithm?: Uint8Array
  signature?: Uint8Array
  afterSignature?: Uint8Array
}

const none = new Uint8Array(0)

/** A certificate whose signature is nonsense: reading says nothing about trust, so the parser must not mind. */
export function certificateDer(fields: Fields = {}): Uint8Array {
  const f = {
    version: context(0, integer(2)) as Uint8Array | undefined,
    serialNumber: integer(1),
    tbsSignature: ecdsaWithSha256,
    issuer: commonName('issuer'),
    validity: seq(utcTime('250101000000Z'), utcTime('350101000000Z')),
    subject: commonName('subject'),
    publicKey: p256Key,
    uniqueIdentifiers: none,
    extensions: [] as readonly Uint8Array[] | undefined,
    afterExtensions: none,
    signatureAlgorithm: ecdsaWithSha256,
    signature: bitString(0, seq(integer(1), integer(1))),
    afterSignature: none,
    ...fields,
  }
  const hasExtensions = 'extensions' in fields && f.extensions !== undefined
  const tbs = seq(
    f.version ?? none,
    f.serialNumber,
    f.tbsSignature,
    f.issuer,
    f.validity,
    f.subject,
    f.publicKey,
    f.uniqueIdentifiers,
    hasExtensions ? context(3, seq(...(f.extensions ?? []))) : none,
    f.afterExtensions,
  )
  return seq(tbs, f.signatureAlgorithm, f.signature, f.afterSignature)
}

export const parsed = (fields: Fields = {}): Certificate => Certificate.parse(certificateDer(fields))

/** Why `Certificate.parse` refuses; undefined where it does not. Anything but its own refusal is thrown on. */
export function malformation(der: Uint8Array): string | undefined {
  try {
    Certificate.parse(der)
    return undefined
  } catch (error) {
    const { code, detail } = error as { code?: string; detail?: { reason: string } }
    if (code !== 'ERR_CLIENT_CERT_MALFORMED' || detail === undefined) throw error
    return detail.reason
  }
}

/** What was read, as a test writes it: names that become text when they are asked for it are literals. */
export function asData(value: unknown): unknown {
  if (value instanceof TextName) return { type: value.type, value: value.value }
  if (Array.isArray(value)) return value.map(asData)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, asData(field)]))
}
