import { instant, quote } from '../help.js'
import { warn } from '../warn.js'
import { freshUntil, isSuperseded } from './crl-freshness.js'
import type { CrlHoldings } from './crl-holdings.js'
import type { CrlSettings } from './crl-options.js'
import { publish } from './events.js'
import type { KnownCrl } from './known-crl.js'

/** Says, once of each, that a CRL of the operator's own sources has ended and nothing newer is known: by then its CA's clients are refused. */
export class CrlEndings {
  readonly #settings: CrlSettings
  readonly #holdings: CrlHoldings
  readonly #sources: readonly string[]
  readonly #said = new WeakSet<KnownCrl>()
  #timer: NodeJS.Timeout | undefined

  /** @param sources whose CRLs are missed; what a client's certificate once named may end unheard */
  constructor(settings: CrlSettings, holdings: CrlHoldings, sources: readonly string[]) {
    this.#settings = settings
    this.#holdings = holdings
    this.#sources = sources
  }

  /** The operator's sentence for one that has ended now; undefined where none has. */
  complaint(): string | undefined {
    const [ended] = this.#ended()
    return ended && sentenceFor(ended, this.#endOf(ended))
  }

  /** To be called when CRLs have come. */
  watch(): void {
    for (const known of this.#ended()) this.#say(known)
    const now = this.#settings.now()
    const next = Math.min(
      ...this.#missed()
        .map((known) => this.#endOf(known))
        .filter((end) => end >= now),
    )
    clearTimeout(this.#timer)
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.watch(), Math.min(next - now + 1, longestTimer))
    this.#timer.unref()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #ended(): readonly KnownCrl[] {
    const now = this.#settings.now()
    return this.#missed().filter((known) => this.#endOf(known) < now)
  }

  #missed(): readonly KnownCrl[] {
    const { all } = this.#holdings.current()
    return this.#sources
      .flatMap((source) => this.#holdings.offeredBy(source))
      .filter((known) => !isSuperseded(known, all))
  }

  #endOf({ crl }: KnownCrl): number {
    return freshUntil(crl, this.#settings.maxAge)
  }

  #say(known: KnownCrl): void {
    if (this.#said.has(known)) return
    this.#said.add(known)
    const { issuer, nextUpdate } = known.summary
    publish({ type: 'crl-ended', where: known.where, issuer, nextUpdate })
    warn('MTLS_CRL_ENDED', sentenceFor(known, this.#endOf(known)))
  }
}

/** The operator's sentence. */
function sentenceFor({ crl: { issuer, nextUpdate }, where }: KnownCrl, end: number): string {
  const what = end === nextUpdate ? 'its nextUpdate is' : 'its maxAge was over'
  const when = end === Number.NEGATIVE_INFINITY ? 'and has no nextUpdate' : `${what} ${instant(new Date(end))}`
  return `crl: CRL of ${quote(issuer.toString())} (${where}) has ended, ${when} — fix the job that renews it: its clients get 503`
}

/** `setTimeout` counts to 2^31. */
const longestTimer = 24 * 3_600_000
