import { type Description, digestOf } from '../description.js'
import type { ClientCertErrorCode } from '../errors.js'
import { ClientCertConfigError, nearest, refuseUnknownOptions } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import type { Leniency } from '../path/leniency.js'
import type { ResolvedProfile } from '../path/profile.js'
import { ReloadNews } from '../reload-events.js'
import { fingerprintOf } from '../rules/certificate-matchers.js'
import { readOperatorFile } from '../trust/pem-files.js'
import { warnOfReload } from '../warn.js'

/** What an exception may overlook. Never a revocation, a signature or an unknown issuer. */
export type Ignorable = 'expired' | 'not-yet-valid' | 'weak-key' | 'extended-key-usage' | 'version'

/** One certificate that is admitted although something is wrong with it, until a day that was decided on. */
export interface CertificateException {
  /** SHA-256 of the DER, hexadecimal. */
  fingerprint: string
  ignore: readonly Ignorable[]
  /** The instant at which it ends by itself: a Date, or ISO 8601 text with a time zone, at most 400 days ahead. */
  until: Date | string
  /** For people: why, and who decided. */
  reason: string
}

/** A list, or a JSON file with one, watched unless `watch` is false. */
export type Exceptions = readonly CertificateException[] | { readonly file: string; readonly watch?: boolean }

/** An exception that admitted a client. */
export interface AppliedException {
  readonly fingerprint: string
  readonly ignored: ClientCertErrorCode
  readonly until: Date
  readonly reason: string
  /** How many decisions it has admitted since the process began or the list was read, this one included. */
  readonly uses: number
}

/** @internal The code each word overlooks. */
export const ignorable: { readonly [I in Ignorable]: ClientCertErrorCode } = {
  expired: 'ERR_CLIENT_CERT_EXPIRED',
  'not-yet-valid': 'ERR_CLIENT_CERT_NOT_YET_VALID',
  'weak-key': 'ERR_CLIENT_CERT_WEAK_KEY',
  'extended-key-usage': 'ERR_CLIENT_CERT_KEY_USAGE',
  version: 'ERR_CLIENT_CERT_VERSION',
}

interface Entry {
  readonly fingerprint: string
  readonly ignore: ReadonlySet<Ignorable>
  readonly until: number
  readonly reason: string
  uses: number
}

const longestMilliseconds = 400 * 86_400_000
/** RSA below this is broken by anybody: no exception makes it a key. */
const weakestRsaBits = 1_024

/** The exceptions of an authenticator: looked at only where a certificate would be refused. */
export class ExceptionList {
  readonly #read: () => ReadonlyMap<string, Entry>
  readonly #stop: () => void
  readonly #file: { readonly path: string; readonly watch: boolean } | undefined
  readonly #news: ReloadNews | undefined
  #entries: ReadonlyMap<string, Entry>

  /** @param now read at construction and at every reload: an exception cannot be dated further ahead than 400 days */
  constructor(given: Exceptions, now: () => number) {
    const file = fileOf(given)
    this.#file = file
    this.#news = file && new ReloadNews('exceptions', file.path)
    this.#read = () => (file === undefined ? entriesOf('exceptions', given, now()) : entriesOfFile(file.path, now()))
    this.#stop = file?.watch ? watchFiles([file.path], () => this.#reloadAlone()) : () => {}
    try {
      this.#entries = this.#read()
    } catch (error) {
      this.#stop()
      throw error
    }
  }

  get generation(): number {
    return this.#news?.generation ?? 0
  }

  /** The exception that overlooks this refusal of an end entity now. */
  find(fingerprint: string, code: ClientCertErrorCode, depth: number | undefined, at: number): Entry | undefined {
    if (depth !== 0) return undefined
    const entry = this.#entries.get(fingerprint)
    // The other way round, a time that is not a number would pass.
    if (entry === undefined || !(at < entry.until)) return undefined
    return [...entry.ignore].some((word) => ignorable[word] === code) ? entry : undefined
  }

  /** Whom it admits is counted, and told as a digest only: fingerprints are clients'. */
  describe(): Description {
    const entries = [...this.#entries.values()].map(({ fingerprint, ignore, until }) => ({
      fingerprint,
      ignore: [...ignore],
      until,
    }))
    const ends = entries.map(({ until }) => until)
    return {
      kind: 'exceptions',
      where: { file: this.#file?.path },
      watch: this.#file?.watch,
      count: entries.length,
      ignore: [...new Set(entries.flatMap(({ ignore }) => ignore))].sort(),
      earliestEnd: ends.length === 0 ? null : new Date(Math.min(...ends)).toISOString(),
      digest: digestOf(entries),
    }
  }

  close(): void {
    this.#stop()
  }

  #reloadAlone(): void {
    try {
      this.#entries = this.#read()
      this.#news?.loaded()
    } catch (error) {
      this.#news?.failed(error)
      warnOfReload(error, 'exceptions hold')
    }
  }
}

export type ExceptionEntry = Entry

/** The decision that used an exception carries it; each use is counted. */
export function applied(entry: Entry, ignored: ClientCertErrorCode): AppliedException {
  const { fingerprint, until, reason } = entry
  return Object.freeze({ fingerprint, ignored, until: new Date(until), reason, uses: ++entry.uses })
}

/** What path validation overlooks on its account. */
export function leniencyOf({ ignore, until }: Entry, profile: ResolvedProfile): Leniency {
  const weak = { minimumRsaBits: Math.min(weakestRsaBits, profile.minimumRsaBits) }
  return {
    profile: {
      ...profile,
      ...(ignore.has('weak-key') ? weak : {}),
      ...(ignore.has('extended-key-usage') ? { extendedKeyUsage: 'any' } : {}),
      ...(ignore.has('version') ? { allowVersion1: true } : {}),
    },
    expired: ignore.has('expired'),
    notYetValid: ignore.has('not-yet-valid'),
    until,
  }
}

function fileOf(given: Exceptions): { path: string; watch: boolean } | undefined {
  if (Array.isArray(given)) return undefined
  if (typeof given !== 'object' || given === null) {
    throw new ClientCertConfigError(
      `exceptions: expected a list or { file }, got ${given === null ? 'null' : typeof given}`,
    )
  }
  refuseUnknownOptions('exceptions', given, ['file', 'watch'])
  const { file, watch = true } = given as { file?: unknown; watch?: unknown }
  if (typeof file !== 'string' || file === '' || typeof watch !== 'boolean') {
    throw new ClientCertConfigError(
      "exceptions: file is a path and watch a boolean — exceptions: { file: './exceptions.json' }",
    )
  }
  return { path: file, watch }
}

function entriesOfFile(path: string, at: number): ReadonlyMap<string, Entry> {
  const where = `exceptions: ${path}`
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(readOperatorFile('exceptions', path).bytes).toString('utf8'))
  } catch (error) {
    if (error instanceof ClientCertConfigError) throw error
    throw new ClientCertConfigError(`${where}: ${(error as Error).message} — it must be a JSON list`)
  }
  return entriesOf(where, value, at)
}

function entriesOf(where: string, given: unknown, at: number): ReadonlyMap<string, Entry> {
  if (!Array.isArray(given)) throw new ClientCertConfigError(`${where}: expected a list of exceptions`)
  const entries = new Map<string, Entry>()
  given.forEach((item: unknown, i) => {
    const entry = entryOf(`${where}[${i}]`, item, at)
    if (entries.has(entry.fingerprint)) {
      throw new ClientCertConfigError(`${where}[${i}]: ${entry.fingerprint} stands in the list twice — make it one`)
    }
    entries.set(entry.fingerprint, entry)
  })
  return entries
}

function entryOf(where: string, item: unknown, at: number): Entry {
  if (typeof item !== 'object' || item === null) {
    throw new ClientCertConfigError(`${where}: expected { fingerprint, ignore, until, reason }`)
  }
  refuseUnknownOptions(where, item, ['fingerprint', 'ignore', 'until', 'reason'])
  const { fingerprint, ignore, until, reason } = item as { [K in keyof CertificateException]?: unknown }
  if (typeof reason !== 'string' || reason.trim() === '') {
    throw new ClientCertConfigError(`${where}: reason is missing — say why, and who decided`)
  }
  return {
    fingerprint: fingerprintOf(`${where}.fingerprint`, fingerprint),
    ignore: wordsOf(where, ignore),
    until: instantOf(where, until, at),
    reason,
    uses: 0,
  }
}

function wordsOf(where: string, ignore: unknown): ReadonlySet<Ignorable> {
  const known = Object.keys(ignorable)
  if (!Array.isArray(ignore) || ignore.length === 0) {
    throw new ClientCertConfigError(`${where}: ignore is a list of ${known.join(', ')}`)
  }
  for (const word of ignore) {
    if (known.includes(word)) continue
    if (word === 'revoked') {
      throw new ClientCertConfigError(`${where}: a revoked certificate is never an exception — issue a new one`)
    }
    const near = typeof word === 'string' ? nearest(word, known) : undefined
    throw new ClientCertConfigError(
      `${where}: ignore: unknown ${JSON.stringify(word)}.${near ? ` Did you mean "${near}"?` : ` Known: ${known.join(', ')}`}`,
    )
  }
  return new Set(ignore as Ignorable[])
}

/** ISO 8601 with a time zone: without one, it would end at another moment on every server. */
const isoInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/

function instantOf(where: string, until: unknown, at: number): number {
  const isText = typeof until === 'string' && isoInstant.test(until)
  const instant = until instanceof Date ? until.getTime() : isText ? Date.parse(until) : Number.NaN
  if (Number.isNaN(instant)) {
    throw new ClientCertConfigError(`${where}: until is not an instant — "2027-03-31T22:00:00Z"`)
  }
  if (!(instant - at <= longestMilliseconds)) {
    throw new ClientCertConfigError(
      `${where}: until is more than 400 days ahead — an exception has an end; issue a new certificate, or change profile`,
    )
  }
  return instant
}
