import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import { type FileKind, readOperatorFile } from '../trust/pem-files.js'
import {
  type CertificateChecker,
  type CertificateStatus,
  type StatusQuestion,
  statusOfPath,
} from './certificate-status.js'
import type { RevocationContext, RevocationStatus } from './checker.js'
import { type DenyEntry, type DenySet, digestEntries, parseEntries, serialKey } from './deny-entries.js'
import { publish, warn } from './events.js'
import { twinFingerprint } from './signature-twin.js'

/** Where the list comes from: exactly one of the three. */
export interface DenyListOptions {
  /** A text file: a fingerprint a line, or a serial number and the issuer's name. Read now and watched. */
  file?: string
  /** The entries themselves; `replace()` exchanges them. */
  entries?: readonly DenyEntry[]
  /** Gets them from elsewhere: a database, an API. Asked at start and every `refresh` seconds. */
  load?: () => readonly DenyEntry[] | Promise<readonly DenyEntry[]>
  /** Seconds between two calls of `load`. Default 60. */
  refresh?: number
  /** `false`: the file is read once. Default true: a changed file is read within two seconds, whole or not at all. */
  watch?: boolean
}

/** A checker that can be told of a revocation at once. */
export interface DenyList extends CertificateChecker {
  /** Reads the file or calls `load` again. What cannot be read changes nothing and rejects. */
  reload(): Promise<void>
  /** Puts other entries in place of those there are. Throws {@link ClientCertConfigError}, and changes nothing, where one is wrong. */
  replace(entries: readonly DenyEntry[]): void
}

/**
 * Denies certificates now: no CA has to sign anything. It knows of nothing but what it lists, so that alone it is no revocation checking; it belongs
 * into `firstDefinite`, beside CRLs or OCSP. Every certificate of a path is looked up, a pinned end entity too. Until `load` has answered once,
 * everybody's status is unknown.
 *
 * A certificate can be rewritten with another fingerprint where its signature is ECDSA; the list finds it all the same.
 *
 * @example
 * const denied = denyList({ file: './denied.txt' })
 * createAuthenticator({ trust, revocation: firstDefinite(denied, crl({ directory: './crls' })) })
 */
export function denyList(options: DenyListOptions): DenyList {
  return new FileOrEntries(digest(options))
}

type Settings = Readonly<
  Required<Pick<DenyListOptions, 'refresh' | 'watch'>> & Omit<DenyListOptions, 'refresh' | 'watch'>
>

class FileOrEntries implements DenyList {
  readonly name: string
  readonly onlyRevokes = true
  readonly answersForPinned = true
  readonly #settings: Settings
  readonly #where: string
  #stop: () => void = () => {}
  #set: DenySet | undefined
  #generation = 0
  #first: Promise<void> | undefined

  constructor(settings: Settings) {
    const { file, entries, load, refresh, watch } = settings
    this.#settings = settings
    this.#where = file === undefined ? 'denyList' : `denyList: ${file}`
    this.name = `denyList (${file ?? (load === undefined ? 'entries' : 'load')})`
    if (entries !== undefined) this.#take(digestEntries(this.#where, entries))
    if (file !== undefined) {
      if (watch) this.#stop = watchFiles([file], () => void this.#again())
      try {
        this.#take(this.#read(file))
      } catch (error) {
        this.#stop()
        throw error
      }
    }
    if (load !== undefined) {
      this.#first = this.#again()
      const timer = setInterval(() => void this.#again(), refresh * 1000)
      timer.unref()
      this.#stop = () => clearInterval(timer)
    }
  }

  get generation(): number {
    return this.#generation
  }

  check(path: CertificationPath, at: Date, context: RevocationContext): Promise<RevocationStatus> {
    return statusOfPath(this, path, at, context, { pinned: true })
  }

  async statusOf({ certificate, issuer }: StatusQuestion): Promise<CertificateStatus> {
    await this.#first
    if (this.#set === undefined) {
      return { status: 'unknown', reason: `${this.name} was not loaded yet`, fix: 'make load() answer' }
    }
    const { fingerprints, serials } = this.#set
    const isListed =
      (serials.size > 0 && serials.has(serialKey(certificate.issuer, certificate.serialNumber))) ||
      (fingerprints.size > 0 &&
        (fingerprints.has(certificate.fingerprint) || hasTwin(fingerprints, certificate, issuer)))
    return isListed ? { status: 'revoked', reason: 'denied' } : { status: 'good', validUntil: Number.POSITIVE_INFINITY }
  }

  async ready(): Promise<void> {
    await this.#first
    if (this.#set === undefined) await this.reload()
  }

  async reload(): Promise<void> {
    const { file, load } = this.#settings
    if (file !== undefined) this.#take(this.#read(file))
    if (load !== undefined) this.#take(digestEntries(this.#where, await load()))
  }

  replace(entries: readonly DenyEntry[]): void {
    this.#take(digestEntries(this.#where, entries))
  }

  close(): void {
    this.#stop()
  }

  #read(file: string): DenySet {
    const kind: FileKind = { endings: [], maximumBytes: limits.denyListBytes, content: 'fingerprints' }
    const { bytes } = readOperatorFile('denyList', file, kind)
    return parseEntries(this.#where, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))
  }

  #take(set: DenySet): void {
    this.#set = set
    this.#generation++
    publish({ type: 'deny-list-loaded', where: this.name, entries: set.fingerprints.size + set.serials.size })
  }

  /** Nobody called, so that nobody hears a rejection. */
  async #again(): Promise<void> {
    try {
      await this.reload()
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      publish({ type: 'deny-list-failed', where: this.name, error })
      warn('MTLS_DENY_LIST_FAILED', `${error.message} (the former entries hold)`)
    }
  }
}

/** The issuer of a pinned certificate is not known here: its key tells whether it signed itself, and only then is there a twin to find. */
const hasTwin = (fingerprints: ReadonlySet<string>, ...[certificate, issuer]: Parameters<typeof twinFingerprint>) => {
  const twin = twinFingerprint(certificate, issuer)
  return twin !== undefined && fingerprints.has(twin)
}

function digest(options: DenyListOptions): Settings {
  const refuse = (reason: string) => new ClientCertConfigError(`denyList: ${reason}`)
  if (typeof options !== 'object' || options === null)
    throw refuse("expected options — denyList({ file: './denied.txt' })")
  refuseUnknownOptions('denyList', options, ['file', 'entries', 'load', 'refresh', 'watch'])
  const { file, entries, load, refresh = 60, watch = true } = options
  const given = [file, entries, load].filter((source) => source !== undefined)
  if (given.length !== 1) throw refuse('takes exactly one of file, entries and load')
  if (file !== undefined && (typeof file !== 'string' || file === '')) throw refuse('file is not a path')
  if (load !== undefined && typeof load !== 'function') throw refuse('load is not a function')
  if (typeof watch !== 'boolean') throw refuse('watch is true or false')
  if (!(Number.isFinite(refresh) && refresh >= 1))
    throw refuse(`refresh is a number of seconds from 1 on, got ${JSON.stringify(refresh)}`)
  return { ...options, refresh, watch }
}
