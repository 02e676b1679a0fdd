import { type Description, shownUrl } from '../description.js'
import { quote } from '../help.js'
import type { CertificationPath } from '../path/certification-path.js'
import { warn } from '../warn.js'
import type { Certificate } from '../x509/certificate.js'
import { type CertificateStatus, type ManagedChecker, type StatusQuestion, statusOfPath } from './certificate-status.js'
import { earliest, type RevocationContext, type RevocationFreshness, type RevocationStatus } from './checker.js'
import { CrlDownloads } from './crl-downloads.js'
import { CrlEndings } from './crl-endings.js'
import { CrlFiles, type CrlReports, ofFiles } from './crl-files.js'
import { isSuperseded } from './crl-freshness.js'
import { CrlHoldings } from './crl-holdings.js'
import { type CrlOptions, type CrlSettings, describeCrl, resolveCrlOptions } from './crl-options.js'
import { CrlStatus } from './crl-status.js'
import { publish } from './events.js'
import type { KnownCrl } from './known-crl.js'
import { halvesOf } from './sentence-halves.js'

/**
 * Checks revocation by CRLs (RFC 5280 §6.3): complete, delta and indirect ones, from files, directories, URLs, or what certificates name. A CA in
 * the path without a CRL that is signed, in scope and fresh makes the status unknown, which refuses with 503.
 *
 * Files are read now; whatever is wrong with them throws `ClientCertConfigError` with the fix. Later, what cannot be read or fetched changes nothing:
 * the former CRLs hold until they end, a warning says so, and an older CRL never replaces a newer.
 *
 * `ready()` rejects while a file or an address gave nothing yet, or what it gave has ended. `close()` is for whoever made it: it may serve several
 * authenticators, and none of them closes it.
 *
 * @example
 * createAuthenticator({ trust: './clients-ca.pem', revocation: crl({ files: ['./root.crl', './issuing.crl'] }) })
 */
export function crl(options: CrlOptions): ManagedChecker {
  return new CrlChecker(resolveCrlOptions(options))
}

/** 5 minutes: RFC 5280 leaves clocks to us, and this errs towards refusing nobody whose CA is a little ahead. */
const skewMilliseconds = 300_000

class CrlChecker implements ManagedChecker {
  readonly name: string
  readonly leafOnly: boolean
  readonly #settings: CrlSettings
  readonly #holdings = new CrlHoldings()
  readonly #status: CrlStatus
  readonly #endings: CrlEndings
  readonly #files: CrlFiles | undefined
  readonly #downloads: CrlDownloads | undefined
  #isClosed = false

  constructor(settings: CrlSettings) {
    const { files, directory, urls, fromCertificate, maxAge } = settings
    const places = [...files, ...(directory === undefined ? [] : [directory]), ...urls.map(shownUrl)]
    this.#settings = settings
    this.name = nameOf(fromCertificate ? [...places, 'what certificates name'] : places)
    this.leafOnly = settings.leafOnly
    this.#status = new CrlStatus({ skew: skewMilliseconds, maxAge, remembersSigners: true })
    this.#endings = new CrlEndings(settings, this.#holdings, [ofFiles, ...urls])
    const reports: CrlReports = {
      loaded: (where, crls) => this.#loaded(where, crls),
      failed: (where, error) => this.#failed(where, error),
    }
    const isFetching = urls.length > 0 || fromCertificate
    // Before the files are watched: it may throw, for hosts and networks that are none.
    this.#downloads = isFetching ? new CrlDownloads(settings, this.#holdings, reports) : undefined
    try {
      if (places.length > urls.length) this.#files = new CrlFiles(settings, this.#holdings, reports)
    } catch (error) {
      this.close()
      throw error
    }
  }

  get generation(): number {
    return this.#holdings.generation + (this.#isClosed ? 1 : 0)
  }

  check(path: CertificationPath, at: Date, context: RevocationContext): Promise<RevocationStatus> {
    return statusOfPath(this, path, at, context, { leafOnly: this.leafOnly })
  }

  async statusOf(question: StatusQuestion): Promise<CertificateStatus> {
    await this.#files?.started
    await this.#downloads?.started
    if (this.#isClosed) return { status: 'unknown', reason: `${this.name} was closed`, fix: 'make another one' }
    if (this.#downloads !== undefined) return this.#learn(question, this.#downloads)
    return this.#explain(await this.#status.of(question, this.#holdings.current()))
  }

  async ready(): Promise<void> {
    await this.#files?.started
    if (this.#isClosed) throw new Error(`${this.name} was closed`)
    if (this.#files?.failure !== undefined) throw this.#files.failure
    await this.#downloads?.ready()
    const complaint = this.#endings.complaint()
    if (complaint !== undefined) throw new Error(complaint)
  }

  attach(issuers: () => readonly Certificate[]): void {
    void Promise.allSettled([this.#files?.started, this.#downloads?.started]).then(() => {
      if (!this.#isClosed && !this.#settings.fromCertificate) warnOfMissing(issuers(), this.#holdings.current().all)
    })
  }

  close(): void {
    this.#isClosed = true
    this.#endings.close()
    this.#files?.close()
    this.#downloads?.close()
  }

  freshness(): RevocationFreshness {
    const offered = this.#holdings.offered()
    const crls = offered.filter((known) => !isSuperseded(known, offered)).map(({ crl }) => crl)
    return {
      crls: crls.length,
      thisUpdate: earliest(crls.map(({ thisUpdate }) => thisUpdate)),
      nextUpdate: earliest(crls.map(({ nextUpdate }) => nextUpdate)),
    }
  }

  describe(): Description {
    return describeCrl(this.#settings)
  }

  /**
   * Whoever's status is unknown waits for what may be fetched, up to the first complete CRL that tells it, and for the delta CRL; for all others it is
   * fetched behind their backs.
   */
  async #learn(question: StatusQuestion, downloads: CrlDownloads): Promise<CertificateStatus> {
    let { generation } = this.#holdings
    let status = await this.#status.of(question, this.#holdings.current())
    const isNeeded = status.status === 'unknown'
    const pending = new Set(downloads.ask(question, isNeeded))
    for (const flight of pending) void flight.end.then(() => pending.delete(flight))
    const isEnough = () =>
      status.status === 'revoked' || (status.status === 'good' && ![...pending].some(({ isDelta }) => isDelta))
    while (isNeeded && !isEnough()) {
      // What came while the last answer was being worked out counts, too.
      if (this.#holdings.generation !== generation) {
        generation = this.#holdings.generation
        status = await this.#status.of(question, this.#holdings.current())
      } else if (pending.size > 0) await Promise.race([...pending].map(({ end }) => end))
      else break
    }
    if (status.status === 'good')
      return { ...status, validUntil: Math.min(status.validUntil, downloads.askAgainAt(question)) }
    const why = status.status === 'unknown' ? downloads.reasonFor(question) : undefined
    if (status.status !== 'unknown' || why === undefined) return this.#explain(status)
    return { status: 'unknown', reason: `${status.reason}; ${why.reason}`, fix: why.fix }
  }

  /** Where there are no CRLs at all because the files could not be read, that is the reason. */
  #explain(status: CertificateStatus): CertificateStatus {
    const failure = this.#files?.failure
    if (status.status !== 'unknown' || failure === undefined) return status
    const { reason, fix } = halvesOf(failure, 'have the CA write it again')
    return { status: 'unknown', reason: `${status.reason}; ${reason}`, fix }
  }

  #loaded(where: string, crls: readonly KnownCrl[]): void {
    publish({ type: 'crl-loaded', where, crls: crls.map((each) => each.summary) })
    if (!this.#isClosed) this.#endings.watch()
  }

  #failed(where: string, error: Error): void {
    publish({ type: 'crl-failed', where, error })
    warn('MTLS_CRL_FAILED', `${error.message} (the former CRLs hold until they end)`)
  }
}

const nameOf = (places: readonly string[]) =>
  `crl (${places.slice(0, 3).join(', ')}${places.length > 3 ? ` and ${places.length - 3} more` : ''})`

/** Said once at start: an operator should not hear of it from clients. */
function warnOfMissing(issuers: readonly Certificate[], known: readonly KnownCrl[]): void {
  // Whom an indirect CRL speaks for is said by the certificates alone (RFC 5280 §5.2.5).
  if (known.some(({ crl }) => crl.extensions.issuingDistributionPoint?.indirectCRL)) return
  const has = ({ subject }: Certificate) => known.some(({ crl }) => crl.issuer.equals(subject))
  const without = issuers.filter((issuer) => !has(issuer))
  if (without.length === 0) return
  if (known.length > 0 && without.length === issuers.length) {
    warn(
      'MTLS_CRL_UNRELATED',
      `crl: ${known.length === 1 ? '1 CRL' : `${known.length} CRLs`} loaded, 0 for any trusted CA — wrong file?`,
    )
  }
  const names = without.slice(0, 3).map(({ subject }) => quote(subject.toString()))
  const more = without.length > names.length ? ` and ${without.length - names.length} more` : ''
  warn(
    'MTLS_CRL_MISSING',
    `crl: no CRL of ${names.join(', ')}${more}: all its clients will get 503, unless allowUnknown admits them — add it`,
  )
}
