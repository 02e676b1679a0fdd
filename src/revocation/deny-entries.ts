import { hash } from 'node:crypto'
import { digestOf, digestOfSet } from '../description.js'
import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { DistinguishedName } from '../x509/name.js'

/** One certificate that is denied: by its fingerprint (SHA-256 of the DER), or by its issuer's name and its serial number. */
export type DenyEntry =
  /** Hexadecimal in any case, with or without colons. */
  | string
  | { readonly fingerprint: string }
  /** `issuer`: RFC 4514 text. `serialNumber`: hexadecimal in any case, with or without colons. */
  | { readonly issuer: string; readonly serialNumber: string }

/** Entries that were read: what is looked up. */
export interface DenySet {
  readonly fingerprints: ReadonlySet<string>
  /** Of {@link serialKey}. */
  readonly serials: ReadonlySet<string>
  /** How many entries there were. */
  readonly size: number
}

/** Reads entries, all or nothing. Throws {@link ClientCertConfigError} that names the entry and the fix. An empty list denies nobody. */
export function digestEntries(where: string, entries: readonly DenyEntry[]): DenySet {
  if (!Array.isArray(entries))
    throw new ClientCertConfigError(`${where}: is no list of entries, but ${kindOf(entries)}`)
  const set = new GrowingSet()
  for (const [index, entry] of entries.entries()) {
    const place = `${where}: entry ${index + 1}`
    if (typeof entry === 'string') set.addFingerprint(place, entry)
    else if (isKeyed(entry, ['fingerprint'])) set.addFingerprint(place, (entry as { fingerprint: string }).fingerprint)
    else if (isKeyed(entry, ['issuer', 'serialNumber']))
      set.addPair(place, entry as { issuer: string; serialNumber: string })
    else throw new ClientCertConfigError(`${place} is neither a fingerprint nor { issuer, serialNumber }`)
  }
  return set
}

/**
 * Reads the text of a deny list: one certificate a line, a fingerprint alone or a serial number, blanks and the issuer's name in RFC 4514. Empty lines
 * and those that begin with `#` say nothing; a file without a single octet is one that is being written.
 */
export function parseEntries(where: string, octets: Uint8Array): DenySet {
  if (octets.length === 0)
    throw new ClientCertConfigError(`${where}: is empty — to deny nobody, write a line that begins with #`)
  const set = new GrowingSet()
  let number = 0
  for (const written of textOf(where, octets).split('\n')) {
    number++
    if (set.addPlain(written)) continue
    const line = written.trim()
    if (line === '' || line.startsWith('#')) continue
    const place = `${where}: line ${number}`
    const pair = /^([0-9A-Fa-f:]+)\s+(\S.*)$/.exec(line)
    if (pair === null) set.addFingerprint(place, line)
    else set.addPair(place, { serialNumber: pair[1] as string, issuer: pair[2] as string })
  }
  return set
}

/** Whether two lists deny the same certificates. */
export const isSameSet = (a: DenySet, b: DenySet): boolean =>
  isSame(a.fingerprints, b.fingerprints) && isSame(a.serials, b.serials)

const digests = new WeakMap<DenySet, string>()

/** Of the certificates a list denies, whatever the order: worked out once, because a list may be long. */
export function digestOfEntries(set: DenySet): string {
  const known = digests.get(set)
  if (known !== undefined) return known
  const serials = digestOfSet([...set.serials].map((serial) => hash('sha256', serial)))
  const digest = digestOf({ fingerprints: digestOfSet(set.fingerprints), serials })
  digests.set(set, digest)
  return digest
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false
  for (const item of a) if (!b.has(item)) return false
  return true
}

class GrowingSet implements DenySet {
  readonly fingerprints = new Set<string>()
  readonly serials = new Set<string>()
  readonly #names = new Map<string, readonly DistinguishedName[]>()
  size = 0

  /** What nearly all lines of a long list are. */
  addPlain(written: string): boolean {
    if (written.length !== 64 || !/^[0-9a-f]{64}$/.test(written)) return false
    this.fingerprints.add(written)
    this.size++
    return true
  }

  addFingerprint(place: string, written: string): void {
    this.fingerprints.add(fingerprintOf(place, written))
    this.size++
  }

  /** In both orders of the name: openssl prints the one that RFC 4514 does not, and nobody should find out that an entry denied nobody. */
  addPair(place: string, { issuer, serialNumber }: { issuer: string; serialNumber: string }): void {
    const number = serialNumberOf(place, serialNumber)
    for (const name of this.#namesOf(place, issuer)) this.serials.add(serialKey(name, number))
    this.size++
  }

  /** Long lists name few issuers. */
  #namesOf(place: string, issuer: string): readonly DistinguishedName[] {
    const known = this.#names.get(issuer)
    if (known !== undefined) return known
    const name = issuerOf(place, issuer)
    const names = [name, name.reversed()]
    this.#names.set(issuer, names)
    return names
  }
}

function textOf(where: string, octets: Uint8Array): string {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8')
  if (!/[\0\ufffd]/.test(text)) return text.startsWith('\ufeff') ? text.slice(1) : text
  throw new ClientCertConfigError(`${where}: is not text in UTF-8 — write one fingerprint a line`)
}

const kindOf = (value: unknown) => (value === null ? 'null' : typeof value)

const isKeyed = (entry: unknown, keys: readonly string[]) =>
  typeof entry === 'object' &&
  entry !== null &&
  Object.keys(entry).length === keys.length &&
  keys.every((key) => typeof (entry as Record<string, unknown>)[key] === 'string')

function fingerprintOf(place: string, written: string): string {
  const hex = written
    .replace(/^sha-?256[ :=]*(?:fingerprint=)?/i, '')
    .replace(/[:\s]/g, '')
    .toLowerCase()
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  const advice = 'openssl x509 -in client.pem -noout -fingerprint -sha256'
  const reason = /^[0-9a-f]{40}$/.test(hex)
    ? 'is SHA-1 (20 octets), not SHA-256'
    : 'is not SHA-256 (32 octets of hexadecimal)'
  throw new ClientCertConfigError(`${place}: ${quote(written)} ${reason} — ${advice}`)
}

function serialNumberOf(place: string, written: string): Uint8Array {
  const hex = written.replace(/^serial=/i, '').replaceAll(':', '')
  const refuse = (reason: string) => new ClientCertConfigError(`${place}: serial number ${quote(written)} ${reason}`)
  if (!/^[0-9A-Fa-f]+$/.test(hex)) throw refuse('is not hexadecimal — openssl x509 -in client.pem -noout -serial')
  const digits = hex.replace(/^0+/, '')
  if (digits.length > 2 * limits.serialNumberBytes)
    throw refuse(`has more than ${limits.serialNumberBytes} octets — a fingerprint stands alone, without an issuer`)
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
}

function issuerOf(place: string, written: string): DistinguishedName {
  try {
    const name = DistinguishedName.parse(written.replace(/^issuer=\s*/i, ''))
    if (!name.isEmpty) return name
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const fix = 'openssl x509 -in client.pem -noout -issuer -nameopt RFC2253'
    throw new ClientCertConfigError(`${place}: issuer: ${error.message} — ${fix}`)
  }
  throw new ClientCertConfigError(`${place}: issuer is empty — every certificate has one`)
}

/** The pair that names a certificate (RFC 5280 §4.1.2.2): leading zeros of the number do not count. */
export const serialKey = (issuer: DistinguishedName, serialNumber: Uint8Array): string =>
  `${Buffer.from(serialNumber)
    .toString('hex')
    .replace(/^(?:00)+/, '')} ${issuer.comparisonKey}`
