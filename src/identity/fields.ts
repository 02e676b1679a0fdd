import type { PublicKeyFacts } from '../x509/algorithm.js'
import type { GeneralName } from '../x509/general-name.js'
import type { DistinguishedName } from '../x509/name.js'
import { oid } from '../x509/oid.js'

/** A public key, as far as rules ask about it. */
export interface PublicKeyDescription {
  /** `RSA`, `RSA-PSS`, `EC`, `Ed25519`, `Ed448`, `ML-DSA-44`, … */
  readonly algorithm: string
  /** Of an RSA modulus. */
  readonly bits?: number
  /** Of an EC key: `P-256`, `P-384`, `P-521`, or a dotted identifier. */
  readonly curve?: string
}

/** Every subject alternative name (RFC 5280 §4.2.1.6), by form, as written in the certificate. */
export interface IdentityNames {
  readonly dns: readonly string[]
  readonly uri: readonly string[]
  /** rfc822Name, and SmtpUTF8Mailbox (RFC 9598). */
  readonly email: readonly string[]
  /** Dotted decimal, or RFC 5952 text. */
  readonly ip: readonly string[]
  /** Microsoft user principal names. */
  readonly upn: readonly string[]
  readonly directory: readonly DistinguishedName[]
}

/** The names of a subjectAltName, by form. */
export function namesOf(names: readonly GeneralName[]): IdentityNames {
  const found = {
    dns: [] as string[],
    uri: [] as string[],
    email: [] as string[],
    ip: [] as string[],
    upn: [] as string[],
    directory: [] as DistinguishedName[],
  }
  for (const name of names) {
    if (name.type === 'directoryName') found.directory.push(name.value.freeze())
    const form = textForms[name.type]
    if (form !== undefined && 'value' in name && typeof name.value === 'string') found[form].push(name.value)
  }
  const { dns, uri, email, ip, upn, directory } = found
  return Object.freeze({
    dns: kept(dns),
    uri: kept(uri),
    email: kept(email),
    ip: kept(ip),
    upn: kept(upn),
    directory: kept(directory),
  })
}

/** A copy, because a list that grew keeps room for sixteen more; and one empty list for all: identities are kept by the thousand. */
const kept = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? none : Object.freeze(list.slice()))

const none: readonly never[] = Object.freeze([])

const curves: ReadonlyMap<string, string> = new Map([
  [oid.p256, 'P-256'],
  [oid.p384, 'P-384'],
  [oid.p521, 'P-521'],
])

export function describeKey(facts: PublicKeyFacts): PublicKeyDescription {
  switch (facts.type) {
    case 'RSA':
    case 'RSA-PSS':
      return { algorithm: facts.type, bits: facts.modulusBits }
    case 'EC':
      return facts.curve === undefined
        ? { algorithm: 'EC' }
        : { algorithm: 'EC', curve: curves.get(facts.curve) ?? facts.curve }
    case 'unknown':
      return { algorithm: facts.oid }
    default:
      return { algorithm: facts.type }
  }
}

/** Where a name of each form that is text goes. */
const textForms: { readonly [T in GeneralName['type']]?: Exclude<keyof IdentityNames, 'directory'> } = {
  dNSName: 'dns',
  uniformResourceIdentifier: 'uri',
  rfc822Name: 'email',
  smtpUtf8Mailbox: 'email',
  iPAddress: 'ip',
  userPrincipalName: 'upn',
}

/** As Node prints it: upper-case hex of whole octets without the sign octet; a minus sign before a negative one; `0` for zero. */
export function serialNumberText(octets: Uint8Array): string {
  if (octets.length === 1 && octets[0] === 0) return '0'
  if (((octets[0] as number) & 0x80) === 0) {
    const first = octets.length > 1 && octets[0] === 0 ? 1 : 0
    return Buffer.from(octets.subarray(first)).toString('hex').toUpperCase()
  }
  const magnitude = -BigInt.asIntN(octets.length * 8, BigInt(`0x${Buffer.from(octets).toString('hex')}`))
  const hex = magnitude.toString(16).toUpperCase()
  return `-${hex.length % 2 === 0 ? hex : `0${hex}`}`
}
