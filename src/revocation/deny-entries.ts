import { ClientCertConfigError } from '../errors.js'
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
}

/** Reads entries, all or nothing. Throws {@link ClientCertConfigError} that names the entry and the fix. An empty list denies nobody. */
export function digestEntries(where: string, entries: readonly DenyEntry[]): DenySet {
  if (!Array.isArray(entries)) throw new ClientCertConfigError(`${where}: entries is not a list`)
  const fingerprints = new Set<string>()
  const serials = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    const place = `${where}: entry ${index + 1}`
    if (typeof entry === 'string') fingerprints.add(fingerprintOf(place, entry))
    else if (isKeyed(entry, ['fingerprint']))
      fingerprints.add(fingerprintOf(place, (entry as { fingerprint: string }).fingerprint))
    else if (isKeyed(entry, ['issuer', 'serialNumber']))
      serials.add(pairOf(place, entry as { issuer: string; serialNumber: string }))
    else
      throw new ClientCertConfigError(
        `${place} is neither a fingerprint nor { issuer, serialNumber }: ${JSON.stringify(entry) ?? typeof entry}`,
      )
  }
  return { fingerprints, serials }
}

/**
 * Reads the text of a deny list: one certificate a line, a fingerprint alone or a serial number, blanks and the issuer's name in RFC 4514. Empty lines
 * and those that begin with `#` say nothing.
 */
export function parseEntries(where: string, text: string): DenySet {
  if (text.includes('\0'))
    throw new ClientCertConfigError(`${where}: is not text — write one fingerprint a line, in UTF-8`)
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/)
  const entries = lines.flatMap((line, index): [number, DenyEntry][] => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return []
    const pair = /^([0-9A-Fa-f:]+)\s+(\S.*)$/.exec(trimmed)
    if (pair === null) return [[index + 1, trimmed]]
    return [[index + 1, { serialNumber: pair[1] as string, issuer: pair[2] as string }]]
  })
  const fingerprints = new Set<string>()
  const serials = new Set<string>()
  for (const [line, entry] of entries) {
    const place = `${where}: line ${line}`
    if (typeof entry === 'string') fingerprints.add(fingerprintOf(place, entry))
    else serials.add(pairOf(place, entry as { issuer: string; serialNumber: string }))
  }
  return { fingerprints, serials }
}

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
  throw new ClientCertConfigError(`${place}: ${JSON.stringify(written)} ${reason} — ${advice}`)
}

function pairOf(place: string, { issuer, serialNumber }: { issuer: string; serialNumber: string }): string {
  const hex = serialNumber.replaceAll(':', '')
  if (!/^[0-9A-Fa-f]+$/.test(hex)) {
    throw new ClientCertConfigError(
      `${place}: serial number ${JSON.stringify(serialNumber)} is not hexadecimal — openssl x509 -noout -serial`,
    )
  }
  try {
    return serialKey(DistinguishedName.parse(issuer), Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ClientCertConfigError(`${place}: issuer: ${error.message} — openssl x509 -noout -issuer -nameopt RFC2253`)
  }
}

/** The pair that names a certificate (RFC 5280 §4.1.2.2): leading zeros of the number do not count. */
export const serialKey = (issuer: DistinguishedName, serialNumber: Uint8Array): string =>
  `${Buffer.from(serialNumber)
    .toString('hex')
    .replace(/^(?:00)+/, '')} ${issuer.comparisonKey}`
