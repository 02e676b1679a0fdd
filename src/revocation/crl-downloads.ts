import { shownUrl } from '../description.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import type { Certificate } from '../x509/certificate.js'
import type { DistributionPoint } from '../x509/shared-extensions.js'
import type { StatusQuestion } from './certificate-status.js'
import { parseCrls } from './crl-bundle.js'
import type { CrlReports } from './crl-files.js'
import { freshUntil } from './crl-freshness.js'
import type { CrlHoldings } from './crl-holdings.js'
import type { CrlSettings } from './crl-options.js'
import { know } from './crl-reader.js'
import { createDocumentFetcher, type DocumentFetcher, FetchError } from './document-fetcher.js'
import { publish } from './events.js'
import { caFix } from './fetch-error.js'
import { halvesOf, type SentenceHalves } from './sentence-halves.js'

/** One address, and when it is asked again. */
interface Download {
  readonly url: string
  readonly isConfigured: boolean
  /** Milliseconds since 1970. */
  dueAt: number
  /** The same for somebody whose status is unknown although it has answered. */
  neededAt: number
  failures: number
  error: Error | undefined
  running: Promise<void> | undefined
}

/** An address as a certificate names it. */
interface Named {
  readonly download: Download
  /** For the delta CRL: freshestCRL. */
  readonly isDelta: boolean
}

/** A fetch that is under way. */
export interface Flight {
  /** Never rejects. */
  readonly end: Promise<void>
  readonly isDelta: boolean
}

/** Fetches CRLs: configured addresses at start and before each ends, those of certificates when they are needed. */
export class CrlDownloads {
  readonly #settings: CrlSettings
  readonly #holdings: CrlHoldings
  readonly #reports: CrlReports
  readonly #fetcher: DocumentFetcher
  readonly #configured: readonly Download[]
  /** Of certificates; who was asked for last stands last. */
  readonly #named = new Map<string, Download>()
  /** Resolves when the configured addresses were asked once, whatever came of it. */
  readonly started: Promise<void>
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(settings: CrlSettings, holdings: CrlHoldings, reports: CrlReports) {
    const { allowHosts, allowPrivateNetworks, ca, timeoutMilliseconds, urls, now } = settings
    this.#settings = settings
    this.#holdings = holdings
    this.#reports = reports
    const fetching = { allowHosts, allowPrivateNetworks, timeoutMilliseconds, now }
    this.#fetcher = createDocumentFetcher(ca === undefined ? fetching : { ...fetching, ca })
    this.#configured = urls.map((url) => newDownload(url, true))
    this.started = this.#refreshDue()
  }

  /** Rejects with the reason where a configured address gave nothing yet. */
  async ready(): Promise<void> {
    await this.started
    for (const download of this.#configured) {
      if (this.#holdings.offeredBy(download.url).length > 0) continue
      await this.#refresh(download)
      if (download.error !== undefined) throw download.error
    }
  }

  /**
   * Asks what may teach more about a certificate, and is due. What is on its way already is among what is returned.
   *
   * @param isNeeded its status is unknown: also addresses that never gave anything are asked, and those that gave nothing of use
   */
  ask({ certificate, at }: StatusQuestion, isNeeded: boolean): readonly Flight[] {
    if (this.#isClosed) return []
    const named = this.#namedBy(certificate)
    const configured = this.#configured.map((download) => ({ download, isDelta: false }))
    const wanted = isNeeded
      ? [...configured, ...named].filter(({ download }) => download.running !== undefined || isDue(download, at))
      : named.filter((each) => !(each.download.dueAt > at) && this.#isOfUse(each))
    return wanted.map(({ download, isDelta }) => ({ end: this.#refresh(download), isDelta }))
  }

  /** Why an address that may know about a certificate gave nothing, or that there is none; undefined where all gave something. Refusals of the fetch policy have their own fix. */
  reasonFor({ certificate }: StatusQuestion): SentenceHalves | undefined {
    const named = this.#namedBy(certificate).map(({ download }) => download)
    const asked = [...named, ...this.#configured]
    const error = asked.find((download) => download.error !== undefined)?.error
    if (error instanceof FetchError) return halvesOf(error, fixFor(error))
    if (error !== undefined) return { ...halvesOf(error, ''), fix: 'is that where the CA publishes its CRL?' }
    if (!this.#settings.fromCertificate || named.length > 0) return undefined
    return {
      reason: 'the certificate names no address of one over http or https',
      fix: 'add it by files or urls, or have the CA write cRLDistributionPoints',
    }
  }

  /** Until when the answer about a certificate may be remembered, lest nobody asks for the next CRL before this one has ended. */
  askAgainAt({ certificate, at }: StatusQuestion): number {
    const due = this.#namedBy(certificate).filter((each) => this.#isOfUse(each))
    return Math.max(Math.min(...due.map(({ download }) => download.dueAt)), at + firstRetry)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#fetcher.close()
  }

  #namedBy(certificate: Certificate): readonly Named[] {
    if (!this.#settings.fromCertificate) return []
    const { cRLDistributionPoints = [], freshestCRL = [] } = certificate.extensions
    const [complete, delta] = [urlsOf(cRLDistributionPoints), urlsOf(freshestCRL)]
    const urls = [...new Set([...complete, ...delta])].slice(0, limits.crlUrlsPerCertificate)
    return urls.map((url) => ({ download: this.#download(url), isDelta: delta.includes(url) }))
  }

  /** It has told something before; or it has a delta CRL, without which the status may be known all the same, and be an old one. */
  #isOfUse({ download, isDelta }: Named): boolean {
    return isDelta || this.#holdings.offeredBy(download.url).length > 0
  }

  #download(url: string): Download {
    const download = this.#named.get(url) ?? newDownload(url, false)
    this.#named.delete(url)
    this.#named.set(url, download)
    if (this.#named.size > limits.crlsKept) this.#forgetOldest()
    return download
  }

  #forgetOldest(): void {
    const oldest = [...this.#named.values()].find(({ running }) => running === undefined)
    if (oldest === undefined) return
    this.#named.delete(oldest.url)
    this.#holdings.forget(oldest.url)
  }

  async #refreshDue(): Promise<void> {
    const now = this.#settings.now()
    await Promise.all(this.#configured.filter(({ dueAt }) => !(dueAt > now)).map((download) => this.#refresh(download)))
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isClosed || this.#configured.length === 0) return
    const wait = Math.min(...this.#configured.map(({ dueAt }) => dueAt)) - this.#settings.now()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#refreshDue(), Math.min(Math.max(wait || 0, shortestWait), longestWait))
    this.#timer.unref()
  }

  /** One flight for an address, however many ask. Never rejects. */
  #refresh(download: Download): Promise<void> {
    download.running ??= this.#fetch(download).finally(() => {
      download.running = undefined
    })
    return download.running
  }

  async #fetch(download: Download): Promise<void> {
    const { url, isConfigured } = download
    const { maximumBytes, now } = this.#settings
    try {
      const request = { url, accept: 'application/pkix-crl', maximumBytes, configured: isConfigured }
      const { bytes } = await this.#fetcher.fetch(request)
      const shown = quote(shownUrl(url))
      const known = await know(shown, shownUrl(url), parseCrls(shown, bytes), this.#holdings.offeredBy(url))
      if (this.#isClosed) return
      this.#holdings.offer(url, known)
      this.#succeeded(download, Math.min(...known.map(({ crl }) => freshUntil(crl, this.#settings.maxAge))) - now())
      this.#reports.loaded(shownUrl(url), known)
    } catch (cause) {
      if (!this.#isClosed) this.#failed(download, cause as Error)
    }
    if (isConfigured) this.#schedule()
  }

  /** @param left milliseconds until the CRL ends */
  #succeeded(download: Download, left: number): void {
    const now = this.#settings.now()
    // One that has ended already is as good as none: its CA is asked again like one that does not answer.
    download.failures = left > 0 ? 0 : download.failures + 1
    download.error = undefined
    download.dueAt = now + (left > 0 ? untilRefresh(left) : backoff(download.failures))
    download.neededAt = now + backoff(Number.POSITIVE_INFINITY)
  }

  #failed(download: Download, error: Error): void {
    // Nobody was asked: nothing new is known, and the next attempt is no later than it was.
    const isRemembered = error instanceof FetchError && error.detail.remembered === true
    if (isRemembered && download.error !== undefined) return
    download.error = error
    download.failures++
    download.dueAt = this.#settings.now() + backoff(download.failures)
    download.neededAt = download.dueAt
    if (download.isConfigured) this.#reports.failed(shownUrl(download.url), error)
    else publish({ type: 'crl-failed', where: shownUrl(download.url), error })
  }
}

const fixFor = ({ failure }: FetchError) =>
  failure === 'tls' ? caFix('crl') : 'make it reachable from here, or crl({ files })'

const isDue = ({ dueAt, neededAt }: Download, at: number) => !(Math.min(dueAt, neededAt) > at)

const newDownload = (url: string, isConfigured: boolean): Download => ({
  url,
  isConfigured,
  dueAt: Number.NEGATIVE_INFINITY,
  neededAt: Number.NEGATIVE_INFINITY,
  failures: 0,
  error: undefined,
  running: undefined,
})

/** Milliseconds between two attempts, whatever a CRL says of itself. */
const shortestWait = 1_000
/** `setTimeout` counts to 2^31, and a CA may publish before it has to. */
const longestWait = 24 * 3_600_000
/** Milliseconds after a failure, and after many: a CA whose CRL has ended is back in service that long after its server is. */
const firstRetry = 5_000
const lastRetry = 60_000

/** After half to three quarters of what is left, at random: neither all servers at once, nor at the last moment. */
const untilRefresh = (left: number) => Math.min(longestWait, Math.max(shortestWait, left * (0.5 + Math.random() / 4)))

const backoff = (failures: number) =>
  Math.min(lastRetry, firstRetry * 2 ** Math.min(failures - 1, 10)) * (0.75 + Math.random() / 2)

/** The http addresses a certificate names for whole CRLs (RFC 5280 §4.2.1.13, §4.2.1.15). What no fetcher would ask is left out. */
function urlsOf(points: readonly DistributionPoint[]): readonly string[] {
  const names = points.flatMap(({ fullName = [] }) => fullName)
  return names.flatMap((name) =>
    name.type === 'uniformResourceIdentifier' && isFetched(name.value) ? [name.value] : [],
  )
}

const isFetched = (url: string) => /^https?:/i.test(url) && url.length <= limits.fetchUrlCharacters
