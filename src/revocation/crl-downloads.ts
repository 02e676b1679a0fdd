import { quote } from '../help.js'
import { limits } from '../limits.js'
import type { DistributionPoint } from '../x509/shared-extensions.js'
import type { CertificateStatus, StatusQuestion } from './certificate-status.js'
import { parseCrls } from './crl-bundle.js'
import type { CrlHoldings } from './crl-holdings.js'
import type { CrlSettings } from './crl-options.js'
import { know } from './crl-reader.js'
import { createDocumentFetcher, type DocumentFetcher } from './document-fetcher.js'
import { publish, warn } from './events.js'

/** What an attempt to learn more came to: nothing to ask for, something new, or why nothing came. */
export type Provision = 'nothing new' | 'new' | { readonly reason: string; readonly fix: string }

/** One address, and when it is asked again. */
interface Download {
  readonly url: string
  readonly isConfigured: boolean
  /** Milliseconds since 1970. */
  dueAt: number
  failures: number
  running: Promise<Error | undefined> | undefined
}

/** Fetches CRLs: configured addresses at start and before each ends, those of certificates when they are needed. */
export class CrlDownloads {
  readonly #settings: CrlSettings
  readonly #holdings: CrlHoldings
  readonly #fetcher: DocumentFetcher
  readonly #downloads = new Map<string, Download>()
  /** The configured addresses were asked once, whatever came of it. */
  readonly started: Promise<void>
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(settings: CrlSettings, holdings: CrlHoldings) {
    const { allowHosts, allowPrivateNetworks, timeoutMilliseconds, now } = settings
    this.#settings = settings
    this.#holdings = holdings
    this.#fetcher = createDocumentFetcher({
      allowHosts,
      allowPrivateNetworks,
      now,
      ...(timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds }),
    })
    for (const url of settings.urls) this.#add(url, true)
    this.started = this.#refreshDue()
  }

  /** Rejects with the reason where a configured address gave nothing yet. */
  async ready(): Promise<void> {
    await this.started
    const configured = [...this.#downloads.values()].filter(({ isConfigured }) => isConfigured)
    for (const download of configured) {
      if (this.#holdings.offeredBy(download.url).length > 0) continue
      const error = await this.#refresh(download)
      if (error !== undefined) throw error
    }
  }

  /** Asks the addresses a certificate names, where its status is unknown without them or what they gave is half over. */
  async provideFor({ certificate, at }: StatusQuestion, status: CertificateStatus): Promise<Provision> {
    if (!this.#settings.fromCertificate || this.#isClosed) return 'nothing new'
    const { cRLDistributionPoints = [], freshestCRL = [] } = certificate.extensions
    const urls = urlsOf([...cRLDistributionPoints, ...freshestCRL])
    const downloads = urls.map((url) => this.#downloads.get(url) ?? this.#add(url, false))
    const due = downloads.filter(
      (download) => download.dueAt <= at || this.#holdings.offeredBy(download.url).length === 0,
    )
    if (due.length === 0) return 'nothing new'
    const generation = this.#holdings.generation
    const work = Promise.all(due.map((download) => this.#refresh(download)))
    // A status that is known needs no waiting: what is fetched serves the next request.
    if (status.status !== 'unknown') return 'nothing new'
    const errors = (await work).filter((error) => error !== undefined)
    if (this.#holdings.generation !== generation) return 'new'
    const [error] = errors
    if (error === undefined) return 'nothing new'
    return { reason: error.message, fix: 'make it reachable from here, or crl({ files })' }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#fetcher.close()
  }

  #add(url: string, isConfigured: boolean): Download {
    const download: Download = { url, isConfigured, dueAt: Number.NEGATIVE_INFINITY, failures: 0, running: undefined }
    this.#downloads.set(url, download)
    if (this.#downloads.size > this.#settings.urls.length + limits.crlsKept) this.#forgetOldest()
    return download
  }

  #forgetOldest(): void {
    const oldest = [...this.#downloads.values()].find(
      ({ isConfigured, running }) => !isConfigured && running === undefined,
    )
    if (oldest === undefined) return
    this.#downloads.delete(oldest.url)
    this.#holdings.forget(oldest.url)
  }

  async #refreshDue(): Promise<void> {
    const now = this.#settings.now()
    const due = [...this.#downloads.values()].filter(({ isConfigured, dueAt }) => isConfigured && dueAt <= now)
    await Promise.all(due.map((download) => this.#refresh(download)))
    this.#schedule()
  }

  #schedule(): void {
    const configured = [...this.#downloads.values()].filter(({ isConfigured }) => isConfigured)
    if (this.#isClosed || configured.length === 0) return
    const next = Math.min(...configured.map(({ dueAt }) => dueAt)) - this.#settings.now()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#refreshDue(), Math.min(Math.max(next, shortestWait), longestWait))
    this.#timer.unref()
  }

  /** One flight for an address, however many ask. Never rejects. */
  #refresh(download: Download): Promise<Error | undefined> {
    download.running ??= this.#fetch(download).finally(() => {
      download.running = undefined
    })
    return download.running
  }

  async #fetch(download: Download): Promise<Error | undefined> {
    const { url, isConfigured } = download
    const { maximumBytes, now } = this.#settings
    try {
      const { bytes } = await this.#fetcher.fetch({
        url,
        accept: 'application/pkix-crl',
        maximumBytes,
        configured: isConfigured,
      })
      const known = await know(url, parseCrls(`crl: ${url}`, bytes), this.#holdings.offeredBy(url))
      if (this.#isClosed) return undefined
      this.#holdings.offer(url, known)
      const left = Math.min(...known.map(({ crl }) => crl.nextUpdate ?? Number.POSITIVE_INFINITY)) - now()
      // One that has ended already is as good as none: its CA is asked again like one that does not answer.
      download.failures = left > 0 ? 0 : download.failures + 1
      download.dueAt = now() + (left > 0 ? untilRefresh(left) : backoff(download.failures))
      publish({ type: 'crl-loaded', where: url, crls: known.map((each) => each.summary) })
      return undefined
    } catch (cause) {
      const error = new Error(`CRL at ${quote(url)}: ${(cause as Error).message}`, { cause })
      download.failures++
      download.dueAt = now() + backoff(download.failures)
      publish({ type: 'crl-failed', where: url, error })
      if (isConfigured && !this.#isClosed)
        warn('MTLS_CRL_FAILED', `${error.message} (the former CRL holds until it ends)`)
      return error
    }
  }
}

/** Milliseconds between two attempts, whatever a CRL says of itself. */
const shortestWait = 1_000
/** `setTimeout` counts to 2^31, and a CA may publish before it has to. */
const longestWait = 24 * 3_600_000
const firstRetry = 5_000
const lastRetry = 600_000

/** After half to three quarters of what is left, at random: neither all servers at once, nor at the last moment. */
const untilRefresh = (left: number) => Math.min(longestWait, Math.max(shortestWait, left * (0.5 + Math.random() / 4)))

const backoff = (failures: number) =>
  Math.min(lastRetry, firstRetry * 2 ** Math.min(failures - 1, 10)) * (0.75 + Math.random() / 2)

/** The http addresses that name whole CRLs. */
function urlsOf(points: readonly DistributionPoint[]): readonly string[] {
  const names = points.flatMap(({ fullName = [] }) => fullName)
  const urls = names.flatMap((name) =>
    name.type === 'uniformResourceIdentifier' && /^https?:/i.test(name.value) ? [name.value] : [],
  )
  return [...new Set(urls)].slice(0, limits.crlUrlsPerCertificate)
}
