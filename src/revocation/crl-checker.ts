import { ClientCertConfigError } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import { quote } from '../help.js'
import type { CertificationPath } from '../path/certification-path.js'
import { type FileKind, type OperatorFile, readOperatorDirectory, readOperatorFile } from '../trust/pem-files.js'
import type { Certificate } from '../x509/certificate.js'
import {
  type CertificateChecker,
  type CertificateStatus,
  type StatusQuestion,
  statusOfPath,
} from './certificate-status.js'
import type { RevocationContext, RevocationStatus } from './checker.js'
import { parseCrls } from './crl-bundle.js'
import { CrlDownloads } from './crl-downloads.js'
import { CrlHoldings } from './crl-holdings.js'
import { type CrlOptions, type CrlSettings, resolveCrlOptions } from './crl-options.js'
import { areSmall, know, knowNow } from './crl-reader.js'
import { CrlStatus } from './crl-status.js'
import { publish, warn } from './events.js'
import type { KnownCrl } from './known-crl.js'

/**
 * Checks revocation by CRLs (RFC 5280 §6.3): complete, delta and indirect ones, from files, directories, URLs, or what certificates name. A CA in
 * the path without a CRL that is signed, in scope and fresh makes the status unknown, which refuses with 503.
 *
 * Files are read now; whatever is wrong with them throws `ClientCertConfigError` with the fix. Later, what cannot be read or fetched changes nothing:
 * the former CRLs hold until they end, a warning says so, and an older CRL never replaces a newer.
 *
 * @example
 * createAuthenticator({ trust: './clients-ca.pem', revocation: crl({ files: ['./root.crl', './issuing.crl'] }) })
 */
export function crl(options: CrlOptions): CertificateChecker {
  return new CrlChecker(resolveCrlOptions(options))
}

/** 5 minutes: RFC 5280 leaves clocks to us, and this errs towards refusing nobody whose CA is a little ahead. */
const skewMilliseconds = 300_000

class CrlChecker implements CertificateChecker {
  readonly name: string
  readonly #settings: CrlSettings
  readonly #holdings = new CrlHoldings()
  readonly #status: CrlStatus
  readonly #downloads: CrlDownloads | undefined
  readonly #unwatch: () => void
  /** Files that are large are still being read; requests wait for them. */
  #loading: Promise<void> | undefined
  #failure: Error | undefined

  constructor(settings: CrlSettings) {
    const { files, directory, urls, fromCertificate, maxAge, watch } = settings
    const places = [...files, ...(directory === undefined ? [] : [directory])]
    this.#settings = settings
    this.name = `crl (${[...places, ...urls, ...(fromCertificate ? ['what certificates name'] : [])].slice(0, 3).join(', ')})`
    this.#status = new CrlStatus({ skew: skewMilliseconds, maxAge })
    // Watched before they are read: what changes in between is read again.
    this.#unwatch = watch && places.length > 0 ? watchFiles(places, () => this.#reload()) : () => {}
    try {
      this.#loading = places.length > 0 ? this.#load() : undefined
    } catch (error) {
      this.#unwatch()
      throw error
    }
    this.#downloads = urls.length > 0 || fromCertificate ? new CrlDownloads(settings, this.#holdings) : undefined
  }

  get generation(): number {
    return this.#holdings.generation
  }

  check(path: CertificationPath, at: Date, context: RevocationContext): Promise<RevocationStatus> {
    return statusOfPath(this, path, at, context, { leafOnly: this.#settings.leafOnly })
  }

  async statusOf(question: StatusQuestion): Promise<CertificateStatus> {
    await this.#loading
    await this.#downloads?.started
    const status = await this.#status.of(question, this.#holdings.current())
    if (this.#downloads === undefined) return status
    const found = await this.#downloads.provideFor(question, status)
    if (found === 'nothing new') return status
    if (found !== 'new') return status.status === 'unknown' ? { status: 'unknown', ...found } : status
    return this.#status.of(question, this.#holdings.current())
  }

  async ready(): Promise<void> {
    await this.#loading
    if (this.#failure !== undefined) throw this.#failure
    await this.#downloads?.ready()
    const ended = this.#holdings.current().all.find((known) => this.#isEnded(known))
    if (ended === undefined) return
    throw new ClientCertConfigError(
      `crl: CRL of ${quote(ended.crl.issuer.toString())} (${ended.where}) has ended — fix the job that renews it`,
    )
  }

  /** Replaced ones may end; the newest of its scope may not. */
  #isEnded(known: KnownCrl): boolean {
    const { thisUpdate, nextUpdate = Number.POSITIVE_INFINITY } = known.crl
    const isOver = (end: number) => end < this.#settings.now()
    if (!isOver(Math.min(nextUpdate, thisUpdate + this.#settings.maxAge))) return false
    const { all } = this.#holdings.current()
    return !all.some((other) => other.scope === known.scope && other.crl.thisUpdate > thisUpdate)
  }

  attach(issuers: () => readonly Certificate[]): void {
    const { fromCertificate } = this.#settings
    void Promise.allSettled([this.#loading, this.#downloads?.started]).then(() => {
      if (!fromCertificate) warnOfMissing(issuers(), this.#holdings.current().all)
    })
  }

  close(): void {
    this.#unwatch()
    this.#downloads?.close()
  }

  /** Small CRLs take effect at once, so that an authenticator is ready when it is made. */
  #load(): Promise<void> | undefined {
    const { files, directory, maximumBytes } = this.#settings
    const kind: FileKind = { endings: ['.crl', '.pem', '.der'], maximumBytes, content: 'CRLs' }
    const read: OperatorFile[] = files.map((path) => readOperatorFile('crl', path, kind))
    if (directory !== undefined) read.push(...readOperatorDirectory('crl', directory, kind))
    const parsed = read.map(({ path, bytes }) => ({ path, crls: parseCrls(`crl: ${path}`, bytes) }))
    const before = this.#holdings.offeredBy(ofFiles)
    if (areSmall(parsed.flatMap(({ crls }) => crls))) {
      this.#offer(parsed.flatMap(({ path, crls }) => knowNow(path, crls, before)))
      return undefined
    }
    const work = parsed.map(({ path, crls }) => know(path, crls, before))
    return Promise.all(work).then(
      (known) => this.#offer(known.flat()),
      (error: Error) => this.#failed(error),
    )
  }

  /** A file that changed while others were still being read is read after them. */
  #reload(): void {
    const again = () => {
      try {
        this.#loading = this.#load()
      } catch (error) {
        this.#failed(error as Error)
      }
    }
    if (this.#loading === undefined) again()
    else void this.#loading.then(again)
  }

  #offer(known: readonly KnownCrl[]): void {
    this.#loading = undefined
    this.#failure = undefined
    this.#holdings.offer(ofFiles, known)
    publish({ type: 'crl-loaded', where: this.name, crls: known.map((each) => each.summary) })
  }

  #failed(error: Error): void {
    this.#loading = undefined
    this.#failure = error
    publish({ type: 'crl-failed', where: this.name, error })
    warn('MTLS_CRL_FAILED', `${error.message} (the former CRLs hold until they end)`)
  }
}

/** The files of a checker are one source: they are exchanged together. */
const ofFiles = 'files'

/** Said once at start: an operator should not hear of it from clients. */
function warnOfMissing(issuers: readonly Certificate[], known: readonly KnownCrl[]): void {
  const has = ({ subject }: Certificate) => known.some(({ crl }) => crl.issuer.equals(subject))
  const without = issuers.filter((issuer) => !has(issuer))
  if (without.length === 0) return
  if (known.length > 0 && without.length === issuers.length) {
    warn('MTLS_CRL_UNRELATED', `crl: ${known.length} CRLs loaded, 0 for any trusted CA — wrong file?`)
  }
  const names = without.slice(0, 3).map(({ subject }) => quote(subject.toString()))
  const more = without.length > names.length ? ` and ${without.length - names.length} more` : ''
  warn('MTLS_CRL_MISSING', `crl: no CRL of ${names.join(', ')}${more}: all its clients will get 503 — add it`)
}
