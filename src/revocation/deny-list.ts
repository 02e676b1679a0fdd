import type { Description } from '../description.js'
import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import { asError } from '../stack.js'
import { type FileKind, isReadFailure, readOperatorFile } from '../trust/pem-files.js'
import { warn } from '../warn.js'
import { type CertificateStatus, type ManagedChecker, type StatusQuestion, statusOfPath } from './certificate-status.js'
import type { RevocationContext, RevocationStatus } from './checker.js'
import {
  type DenyEntry,
  type DenySet,
  digestEntries,
  digestOfEntries,
  isSameSet,
  parseEntries,
  serialKey,
} from './deny-entries.js'
import { DenyLoads } from './deny-loads.js'
import { publish } from './events.js'
import { twinFingerprint } from './signature-twin.js'

/** Where the list comes from: exactly one of the three. */
export interface DenyListOptions {
  /** A text file: a fingerprint a line, or a serial number and the issuer's name. Read now and watched. Exchange it by renaming: a part of one is one, too. */
  file?: string
  /** The entries themselves; `replace()` exchanges them. */
  entries?: readonly DenyEntry[]
  /** Gets them from elsewhere: a database, an API. Asked at start and every `refresh` seconds; of two answers, the later question's counts. */
  load?: () => readonly DenyEntry[] | Promise<readonly DenyEntry[]>
  /** Seconds between two calls of `load`, 1 to 86,400. Default 60. */
  refresh?: number
  /** `false`: the file is read once. Default true: a changed file is read within two seconds, whole or not at all. */
  watch?: boolean
}

/** A checker that can be told of a revocation at once. */
export interface DenyList extends ManagedChecker {
  /** Reads the file or calls `load` again. What cannot be read changes nothing and rejects. */
  reload(): Promise<void>
  /**
   * Puts other entries in place of those there are, until the file changes or `load` is asked again. Throws {@link ClientCertConfigError}, and changes
   * nothing, where one is wrong.
   */
  replace(entries: readonly DenyEntry[]): void
}

/**
 * Denies certificates now: no CA has to sign anything. It knows of nothing but what it lists, so that alone it is no revocation checking; it belongs
 * into `firstDefinite`, beside CRLs or OCSP. Every certificate of a path is looked up, a pinned end entity too. Until `load` has answered once,
 * everybody's status is unknown; a request waits for that for at most 3 s.
 *
 * A certificate can be rewritten with another fingerprint where its signature is ECDSA; the list finds it all the same. Who is pinned by key alone
 * (`pinnedKeys`) writes his certificate himself: take the pin away.
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
  readonly #file: string | undefined
  readonly #where: string
  /** A path, `entries` or `load`. */
  readonly #source: string
  readonly #settings: Settings
  readonly #loads: DenyLoads | undefined
  #unwatch: () => void = () => {}
  #set: DenySet | undefined
  #generation = 0
  #failure: string | undefined
  #isClosed = false

  constructor(settings: Settings) {
    const { file, entries, load, refresh, watch } = settings
    this.#settings = settings
    this.#file = file
    this.#where = file === undefined ? 'denyList' : `denyList: ${file}`
    this.#source = file ?? (load === undefined ? 'entries' : 'load')
    this.name = `denyList (${this.#source})`
    if (entries !== undefined) this.#take(digestEntries(this.#where, entries))
    if (load !== undefined) {
      this.#loads = new DenyLoads({
        load,
        refresh,
        take: (loaded) => this.#take(digestEntries('denyList: load()', loaded)),
        failed: (error) => this.#failed(error),
      })
    }
    if (file === undefined) return
    // Watched before it is read: what changes in between is read again.
    if (watch) this.#unwatch = watchFiles([file], () => this.#readAgain(file))
    try {
      this.#read(file)
    } catch (error) {
      this.#unwatch()
      throw error
    }
  }

  get generation(): number {
    return this.#generation
  }

  check(path: CertificationPath, at: Date, context: RevocationContext): Promise<RevocationStatus> {
    return statusOfPath(this, path, at, context, { pinned: true })
  }

  async statusOf({ certificate, issuer }: StatusQuestion): Promise<CertificateStatus> {
    await this.#loads?.started
    if (this.#isClosed) return { status: 'unknown', reason: `${this.name} was closed`, fix: 'make another one' }
    if (this.#set === undefined) {
      return { status: 'unknown', reason: this.#notLoaded, fix: 'make load() answer' }
    }
    const { fingerprints, serials } = this.#set
    const isListed =
      (serials.size > 0 && serials.has(serialKey(certificate.issuer, certificate.serialNumber))) ||
      (fingerprints.size > 0 &&
        (fingerprints.has(certificate.fingerprint) || hasTwin(fingerprints, certificate, issuer)))
    return isListed ? { status: 'revoked', reason: 'denied' } : { status: 'good', validUntil: Number.POSITIVE_INFINITY }
  }

  async ready(): Promise<void> {
    await this.#loads?.started
    if (this.#isClosed) throw new Error(`${this.name} was closed`)
    if (this.#set === undefined) throw new Error(this.#notLoaded)
  }

  async reload(): Promise<void> {
    if (this.#isClosed) throw new Error(`${this.name} was closed`)
    if (this.#file !== undefined) this.#read(this.#file)
    await this.#loads?.load()
  }

  /** Whom it denies is counted, and told as a digest only: fingerprints are clients'. */
  describe(): Description {
    const { file, load, refresh, watch } = this.#settings
    return {
      kind: 'denyList',
      where: { file, load: load?.name },
      watch: file === undefined ? undefined : watch,
      refreshSeconds: load === undefined ? undefined : refresh,
      entries: this.#set?.size ?? null,
      digest: this.#set === undefined ? null : digestOfEntries(this.#set),
    }
  }

  replace(entries: readonly DenyEntry[]): void {
    const set = digestEntries(this.#where, entries)
    this.#loads?.overtake()
    this.#take(set)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#generation++
    this.#unwatch()
    this.#loads?.close()
  }

  get #notLoaded(): string {
    const why = this.#failure ?? 'load() has not answered'
    return `${this.name} was not loaded yet: ${why}`
  }

  #read(file: string): void {
    const kind: FileKind = { endings: [], maximumBytes: limits.denyListBytes, content: 'fingerprints' }
    const { bytes } = readOperatorFile('denyList', file, kind)
    this.#take(parseEntries(this.#where, bytes))
  }

  /** False where it has to be tried again although the file does not change. */
  #readAgain(file: string): boolean {
    try {
      this.#read(file)
    } catch (error) {
      this.#failed(error)
      return !isReadFailure(error)
    }
    return true
  }

  /** The same entries again are no news: remembered decisions stay. */
  #take(set: DenySet): void {
    if (this.#set === undefined || !isSameSet(this.#set, set)) this.#generation++
    this.#set = set
    this.#failure = undefined
    publish({ type: 'deny-list-loaded', where: this.#source, entries: set.size })
  }

  /** What is tried again every two seconds is said once. */
  #failed(cause: unknown): void {
    const error = asError(cause)
    if (this.#loads === undefined && this.#failure === error.message) return
    this.#failure = error.message
    publish({ type: 'deny-list-failed', where: this.#source, error })
    warn('MTLS_DENY_LIST_FAILED', `${error.message} (the former entries hold)`)
  }
}

/** The issuer of a pinned certificate is not known here: its key tells whether it signed itself, and only then is there a twin to find. */
const hasTwin = (fingerprints: ReadonlySet<string>, ...[certificate, issuer]: Parameters<typeof twinFingerprint>) => {
  const twin = twinFingerprint(certificate, issuer)
  return twin !== undefined && fingerprints.has(twin)
}

const longestRefresh = 86_400

function digest(options: DenyListOptions): Settings {
  const refuse = (reason: string) => new ClientCertConfigError(`denyList: ${reason}`)
  if (typeof options !== 'object' || options === null)
    throw refuse("expected options — denyList({ file: './denied.txt' })")
  refuseUnknownOptions('denyList', options, ['file', 'entries', 'load', 'refresh', 'watch'])
  refuseUndefinedOptions('denyList', options)
  const { file, entries, load, refresh = 60, watch = true } = options
  const given = [file, entries, load].filter((source) => source !== undefined)
  if (given.length !== 1) throw refuse('takes exactly one of file, entries and load')
  if (file !== undefined && (typeof file !== 'string' || file === '')) throw refuse('file is not a path')
  if (load !== undefined && typeof load !== 'function') throw refuse('load is not a function')
  if (options.refresh !== undefined && load === undefined) throw refuse('refresh is for load')
  if (options.watch !== undefined && file === undefined) throw refuse('watch is for a file')
  if (typeof watch !== 'boolean') throw refuse('watch is true or false')
  if (!(Number.isFinite(refresh) && refresh >= 1 && refresh <= longestRefresh))
    throw refuse(`refresh is a number of seconds from 1 to ${longestRefresh}, got ${String(refresh)}`)
  return { ...options, refresh, watch }
}
