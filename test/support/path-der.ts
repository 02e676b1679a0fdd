/** DER as these suites need it, written without the product and without a library that would repair it. */

type Octets = Uint8Array | readonly number[]

export function tlv(tag: number, ...contents: Octets[]): Uint8Array {
  const content = Buffer.concat(contents.map((part) => Uint8Array.from(part)))
  const length: number[] = []
  for (let rest = content.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff)
  const header = content.length < 0x80 ? [tag, content.length] : [tag, 0x80 | length.length, ...length]
  return Uint8Array.from(Buffer.concat([Uint8Array.from(header), content]))
}

export const sequence = (...members: Octets[]): Uint8Array => tlv(0x30, ...members)
/** SET OF: DER wants its members in order. */
export const setOf = (...members: Uint8Array[]): Uint8Array => tlv(0x31, ...members.toSorted(Buffer.compare))
/** `[n]` around something constructed. */
export const constructed = (n: number, ...members: Octets[]): Uint8Array => tlv(0xa0 | n, ...members)
/** `[n] IMPLICIT` of something primitive. */
export const primitive = (n: number, contents: Octets): Uint8Array => tlv(0x80 | n, contents)
export const octetString = (contents: Octets): Uint8Array => tlv(4, contents)
export const bitString = (contents: Octets): Uint8Array => tlv(3, [0], contents)
export const yes: Uint8Array = Uint8Array.of(1, 1, 255)

const octetsOf = (value: number): number[] => {
  const octets = [value & 0xff]
  for (let rest = Math.floor(value / 256); rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest & 0xff)
  if ((octets[0] as number) >= 0x80) octets.unshift(0)
  return octets
}
export const integer = (value: number): Uint8Array => tlv(2, octetsOf(value))
export const implicitInteger = (n: number, value: number): Uint8Array => primitive(n, octetsOf(value))

const arcOctets = (arc: number): number[] => {
  const octets = [arc & 0x7f]
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift((rest & 0x7f) | 0x80)
  return octets
}
export const oidOctets = (dotted: string): number[] => {
  const [top, second, ...arcs] = dotted.split('.').map(Number) as [number, number, ...number[]]
  return [top * 40 + second, ...arcs].flatMap(arcOctets)
}
const oids = new Map<string, Uint8Array>()
export function oid(dotted: string): Uint8Array {
  const known = oids.get(dotted) ?? tlv(6, oidOctets(dotted))
  oids.set(dotted, known)
  return known
}

export const utf8 = (value: string): Uint8Array => tlv(0x0c, Buffer.from(value))
export const printable = (value: string): Uint8Array => tlv(0x13, Buffer.from(value))
export const teletex = (octets: string): Uint8Array => tlv(0x14, Buffer.from(octets, 'latin1'))
export const ia5 = (value: string): Uint8Array => tlv(0x16, Buffer.from(value))

/** UTCTime through 2049, GeneralizedTime from 2050. */
export function time(date: Date): Uint8Array {
  const digits = `${date.toISOString().slice(0, 19).replace(/\D/g, '')}Z`
  return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits))
}

// Names ------------------------------------------------------------------------------------------------------------

const attributeTypes: Record<string, string> = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  L: '2.5.4.7',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  DC: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
}

export type Attribute = readonly [type: string, value: string | Uint8Array]
export type Rdn = Attribute | readonly Attribute[]

const attributeDer = ([type, value]: Attribute): Uint8Array =>
  sequence(oid(attributeTypes[type] ?? type), typeof value === 'string' ? utf8(value) : value)

/** A Name in the order of the DER, one attribute an RDN; a list of attributes is an RDN of several. */
export const name = (...rdns: Rdn[]): Uint8Array =>
  sequence(
    ...rdns.map((rdn) =>
      setOf(
        ...(typeof rdn[0] === 'string' ? [attributeDer(rdn as Attribute)] : (rdn as Attribute[]).map(attributeDer)),
      ),
    ),
  )

// GeneralName, for names and for the bases of constraints alike --------------------------------------------------------

const smtpUtf8Mailbox = '1.3.6.1.5.5.7.8.9'
const userPrincipalName = '1.3.6.1.4.1.311.20.2.3'

export const otherName = (type: string, value: Uint8Array): Uint8Array =>
  constructed(0, oid(type), constructed(0, value))
export const email = (value: string): Uint8Array => primitive(1, Buffer.from(value))
export const dns = (value: string): Uint8Array => primitive(2, Buffer.from(value))
export const x400: Uint8Array = constructed(3, sequence())
export const directory = (...rdns: Rdn[]): Uint8Array => constructed(4, name(...rdns))
export const ediParty: Uint8Array = constructed(5, constructed(1, utf8('party')))
export const uri = (value: string): Uint8Array => primitive(6, Buffer.from(value))
/** Octets as hexadecimal: an address, or address and mask. */
export const ip = (hex: string): Uint8Array => primitive(7, Buffer.from(hex.replace(/[ /]/g, ''), 'hex'))
export const registeredId = (dotted: string): Uint8Array => primitive(8, oidOctets(dotted))
export const utf8Mailbox = (value: string): Uint8Array => otherName(smtpUtf8Mailbox, utf8(value))
export const upn = (value: string): Uint8Array => otherName(userPrincipalName, utf8(value))

// Extensions ---------------------------------------------------------------------------------------------------------

export interface Extension {
  readonly oid: string
  readonly critical: boolean
  readonly value: Uint8Array
}

const extension = (identifier: string, critical: boolean, value: Uint8Array): Extension => ({
  oid: identifier,
  critical,
  value,
})

export const extensionDer = ({ oid: identifier, critical, value }: Extension): Uint8Array =>
  sequence(oid(identifier), ...(critical ? [yes] : []), octetString(value))

export const id = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  anyPolicy: '2.5.29.32.0',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
} as const

export const subjectAltName = (names: readonly Uint8Array[], critical = false): Extension =>
  extension(id.subjectAltName, critical, sequence(...names))

/** A GeneralSubtree with something after its base: minimum and maximum. */
export const subtree = (base: Uint8Array, { minimum, maximum }: { minimum?: number; maximum?: number } = {}) =>
  sequence(
    base,
    ...(minimum === undefined ? [] : [implicitInteger(0, minimum)]),
    ...(maximum === undefined ? [] : [implicitInteger(1, maximum)]),
  )

export interface Subtrees {
  /** GeneralNames, or whole GeneralSubtrees. */
  readonly permitted?: readonly Uint8Array[]
  readonly excluded?: readonly Uint8Array[]
}

const subtreeOf = (item: Uint8Array) => (item[0] === 0x30 ? item : sequence(item))

export const nameConstraints = ({ permitted, excluded }: Subtrees, critical = true): Extension =>
  extension(
    id.nameConstraints,
    critical,
    sequence(
      ...(permitted === undefined ? [] : [constructed(0, ...permitted.map(subtreeOf))]),
      ...(excluded === undefined ? [] : [constructed(1, ...excluded.map(subtreeOf))]),
    ),
  )

export const certificatePolicies = (policies: readonly string[], critical = false): Extension =>
  extension(id.certificatePolicies, critical, sequence(...policies.map((policy) => sequence(oid(policy)))))

export const policyMappings = (mappings: readonly (readonly [string, string])[], critical = true): Extension =>
  extension(
    id.policyMappings,
    critical,
    sequence(...mappings.map(([issuer, subject]) => sequence(oid(issuer), oid(subject)))),
  )

export const policyConstraints = (
  { requireExplicit, inhibitMapping }: { requireExplicit?: number | undefined; inhibitMapping?: number | undefined },
  critical = true,
): Extension =>
  extension(
    id.policyConstraints,
    critical,
    sequence(
      ...(requireExplicit === undefined ? [] : [implicitInteger(0, requireExplicit)]),
      ...(inhibitMapping === undefined ? [] : [implicitInteger(1, inhibitMapping)]),
    ),
  )

export const inhibitAnyPolicy = (skipCerts: number, critical = true): Extension =>
  extension(id.inhibitAnyPolicy, critical, integer(skipCerts))

export const basicConstraints = (ca: boolean, pathLength?: number): Extension =>
  extension(
    id.basicConstraints,
    true,
    sequence(...(ca ? [yes] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
  )

/** Named bits, the first one leftmost: `[0x80]` is digitalSignature, `[0x06]` keyCertSign and cRLSign. */
export const keyUsage = (bits: number): Extension => {
  let unused = 0
  while (((bits >> unused) & 1) === 0) unused++
  return extension(id.keyUsage, true, tlv(3, [unused, bits]))
}

export const purpose = {
  client: '1.3.6.1.5.5.7.3.2',
  server: '1.3.6.1.5.5.7.3.1',
  email: '1.3.6.1.5.5.7.3.4',
  any: '2.5.29.37.0',
} as const

export const extKeyUsage = (purposes: readonly string[], critical = false): Extension =>
  extension(id.extKeyUsage, critical, sequence(...purposes.map(oid)))
