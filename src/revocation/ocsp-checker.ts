import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Description } from '../description.js'
import { limits } from '../limits.js'
import { LruMap } from '../lru-map.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { ResolvedProfile } from '../path/profile.js'
import type { Certificate } from '../x509/certificate.js'
import { type CertId, certIdOf, encodeOcspRequest } from '../x509/ocsp-request.js'
import { oid } from '../x509/oid.js'
import {
  type CertificateChecker,
  type CertificateStatus,
  type ManagedChecker,
  type StatusQuestion,
  statusOfPath,
} from './certificate-status.js'
import type { RevocationContext, RevocationStatus } from './checker.js'
import { type DocumentRequest, FetchError, type FetchedDocument } from './document-fetcher.js'
import { publish, revocationChannel } from './events.js'
import { isFinal, judgeOcspResponse, type OcspAnswer } from './ocsp-answer.js'
import { OcspMemory, type RememberedAnswer } from './ocsp-memory.js'
import { describeOcsp, type OcspOptions, type OcspSettings, resolveOcspOptions } from './ocsp-options.js'
import { delegateIs, nobodyToAsk, notFetched, notKnown, replayed, sentenceFor, wasClosed } from './ocsp-sentence.js'
import { factAndFix } from './sentence-halves.js'

export type { OcspIssuer, OcspOptions } from './ocsp-options.js'

/** For which an answer is used whatever it says of its freshness, and a failure is not tried again: nobody is asked for every request. */
const momentMillis = 5_000
/** RFC 6960 §2.3: tryLater is asked again, this often and after as long. */
const retryMillis = [200, 600]
/** Milliseconds after which nobody is asked a second time: a client waits, for the deadline of one request at most and this. */
const patienceMillis = 1_000
/** Nobody waits for the fifth responder a certificate names. */
const urlsOfCertificate = 4

/**
 * Asks OCSP responders (RFC 6960) about every certificate of a path but the anchor. Refuses (`unknown`, 503) whenever there is no answer that is
 * signed by who may, is about that certificate, and is recent.
 *
 * Answers are remembered until nextUpdate, or for as long as HTTP or `maxAgeSeconds` allows, and asked for anew before they end, and at least every
 * `refreshSeconds`, while somebody uses them. A `revoked` stays: only certificateHold is lifted by a newer answer.
 *
 * @throws ClientCertConfigError with the fix
 * @example
 * const revocation = ocsp({ responder: 'http://ocsp.corp.example/' })
 * const auth = createAuthenticator({ trust: './clients-ca.pem', revocation })
 */
export function ocsp(options: OcspOptions = {}): ManagedChecker {
  return new OcspChecker(resolveOcspOptions(options))
}

/** What came of asking. */
type Outcome =
  | { readonly remembered: RememberedAnswer }
  /** `passing`: it says nothing about the next moment. */
  | { readonly reason: string; readonly passing?: boolean }

class OcspChecker implements ManagedChecker {
  readonly name = 'ocsp'
  readonly #settings: OcspSettings
  readonly #memory = new OcspMemory()
  readonly #failures = new LruMap<string, { reason: string; at: number }>(limits.ocspAnswers)
  readonly #flights = new Map<string, Promise<Outcome>>()
  /** With which knowledge about delegates an answer was believed. */
  readonly #confirmed = new WeakMap<OcspAnswer, number>()
  readonly #numbers = new WeakMap<ResolvedProfile, number>()
  readonly #closing = new AbortController()
  #profiles = 0
  #generation = 0

  constructor(settings: OcspSettings) {
    this.#settings = settings
  }

  get generation(): number {
    const closed = this.#closing.signal.aborted ? 1 : 0
    return this.#generation + closed + (this.#settings.delegateChecker?.generation ?? 0)
  }

  get leafOnly(): boolean {
    return this.#settings.leafOnly
  }

  check(path: CertificationPath, at: Date, context: RevocationContext): Promise<RevocationStatus> {
    return statusOfPath(this, path, at, context, { leafOnly: this.leafOnly })
  }

  async ready(): Promise<void> {
    await this.#settings.delegateChecker?.ready?.()
  }

  describe(): Description {
    return describeOcsp(this.#settings)
  }

  close(): void {
    this.#closing.abort()
    if (this.#settings.ownsFetcher) this.#settings.fetcher.close()
  }

  async statusOf(question: StatusQuestion): Promise<CertificateStatus> {
    if (this.#closing.signal.aborted) return unknown(wasClosed)
    const { at } = question
    const key = keyOf(question)
    const known = await this.#recall(key, question)
    if (known !== undefined && (isFinal(known.answer) || at < known.refreshFrom)) return statusFrom(known, at)
    const failure = this.#failures.get(this.#flightKey(key, question))
    const isHopeless = failure !== undefined && failure.at <= at && at < failure.at + momentMillis
    if (known !== undefined && at < known.freshUntil) {
      if (!isHopeless) this.#ask(key, question).catch(() => {})
      return statusFrom(known, at)
    }
    const outcome = isHopeless ? failure : await this.#ask(key, question)
    if ('remembered' in outcome) return statusFrom(outcome.remembered, at)
    const last = await this.#recall(key, question)
    return last === undefined || last.answer.status === 'unknown' ? unknown(outcome.reason) : statusFrom(last, at)
  }

  /** What is known and may be used at that moment. A revocation is, whatever signature algorithms this profile accepts. */
  async #recall(key: string, question: StatusQuestion): Promise<RememberedAnswer | undefined> {
    const known = this.#memory.get(key)
    if (known === undefined || known.answer.status === 'revoked') return known
    const { thisUpdate, usableUntil, unchecked } = known.answer
    const isCurrent = thisUpdate <= question.at + this.#settings.policy.skew && question.at <= usableUntil
    if (!isCurrent || !known.acceptedUnder.has(question.context.profile)) return undefined
    if (unchecked !== undefined && this.#confirmed.get(known.answer) !== this.#settings.delegateChecker?.generation) {
      const { status, generation } = await this.#statusOfDelegate(unchecked, question)
      if (status.status !== 'good' || status.validUntil < usableUntil) return undefined
      this.#confirmed.set(known.answer, generation)
    }
    return known
  }

  /** One request for a certificate at a time, whoever waits for its answer. */
  #ask(key: string, question: StatusQuestion): Promise<Outcome> {
    const flightKey = this.#flightKey(key, question)
    const under = this.#flights.get(flightKey)
    if (under !== undefined) return under
    const flight = this.#request(key, question)
      .then((outcome) => {
        if ('reason' in outcome && !outcome.passing) {
          this.#failures.set(flightKey, { reason: outcome.reason, at: this.#settings.now() })
          this.#tell(question, outcome.reason)
        }
        return outcome
      })
      .finally(() => this.#flights.delete(flightKey))
    this.#flights.set(flightKey, flight)
    return flight
  }

  #tell({ issuer }: StatusQuestion, reason: string): void {
    if (this.#closing.signal.aborted || !revocationChannel.hasSubscribers) return
    publish({ type: 'ocsp-failed', issuer: issuer.subject.toString(), reason })
  }

  /** Signatures are judged by a profile, so that those who have another ask by themselves. */
  #flightKey(key: string, { context }: StatusQuestion): string {
    const number = this.#numbers.get(context.profile) ?? ++this.#profiles
    this.#numbers.set(context.profile, number)
    return `${number} ${key}`
  }

  async #request(key: string, question: StatusQuestion): Promise<Outcome> {
    const { certificate, issuer } = question
    const configured = this.#settings.responder({ subject: issuer.subject.toString(), fingerprint: issuer.fingerprint })
    const urls =
      configured !== undefined ? [configured] : this.#settings.fromCertificate ? respondersOf(certificate) : []
    const until = this.#settings.now() + patienceMillis
    let outcome: Outcome = { reason: nobodyToAsk(issuer.subject.toString()) }
    for (const url of urls) {
      if (this.#settings.now() > until) break
      try {
        return await this.#requestFrom(url, configured !== undefined, until, key, question)
      } catch (error) {
        if (this.#closing.signal.aborted) return { reason: wasClosed }
        if (!(error instanceof FetchError)) throw error
        outcome = { reason: notFetched(error), passing: error.failure === 'busy' }
      }
    }
    return outcome
  }

  async #requestFrom(
    url: string,
    configured: boolean,
    until: number,
    key: string,
    question: StatusQuestion,
  ): Promise<Outcome> {
    const { policy, hash, now } = this.#settings
    const { certificate, issuer, context } = question
    const certId = certIdOf(certificate, issuer, hash)
    for (let attempt = 0; ; attempt++) {
      const nonce = policy.nonce === 'none' ? undefined : randomBytes(32)
      const document = await this.#settings.fetcher.fetch(this.#documentRequest(url, configured, certId, nonce))
      const judged = judgeOcspResponse(document.bytes, { issuer, certId, nonce }, now(), policy, context.profile)
      if (judged.usable) return this.#learn(url, key, judged.answer, document, question)
      const wait = judged.flaw === 'tryLater' && now() <= until ? retryMillis[attempt] : undefined
      if (wait === undefined) return { reason: sentenceFor(url, judged.flaw, judged.reason, document.contentType) }
      await pause(wait, undefined, { signal: this.#closing.signal })
    }
  }

  /** RFC 6960 Appendix A.1; RFC 5019 §5: by GET up to 255 octets, the whole URL counted. */
  #documentRequest(url: string, configured: boolean, certId: CertId, nonce: Uint8Array | undefined): DocumentRequest {
    const body = encodeOcspRequest(certId, nonce)
    const common = { accept: 'application/ocsp-response', maximumBytes: limits.ocspResponseBytes, configured }
    if (this.#settings.method === 'get' && !url.includes('?')) {
      const encoded = encodeURIComponent(Buffer.from(body).toString('base64'))
      const whole = `${url}${url.endsWith('/') ? '' : '/'}${encoded}`
      if (whole.length <= 255) return { url: whole, method: 'GET', ...common }
    }
    return { url, method: 'POST', body, contentType: 'application/ocsp-request', ...common }
  }

  async #learn(
    url: string,
    key: string,
    judged: OcspAnswer,
    document: FetchedDocument,
    question: StatusQuestion,
  ): Promise<Outcome> {
    let answer = judged
    if (judged.unchecked !== undefined) {
      const { status, generation } = await this.#statusOfDelegate(judged.unchecked, question)
      if (status.status !== 'good') return { reason: delegateIs(url, judged.unchecked.subject.toString(), status) }
      const { freshUntil, usableUntil } = judged
      const end = status.validUntil
      answer = { ...judged, freshUntil: Math.min(freshUntil, end), usableUntil: Math.min(usableUntil, end) }
      this.#confirmed.set(answer, generation)
    }
    const source = { url, ...this.#refreshTimes(answer, document, this.#settings.now()) }
    const lesson = this.#memory.learn(key, answer, question.context.profile, source)
    if (lesson.closed) this.#generation++
    if (!lesson.replayed) return { remembered: lesson.remembered }
    return { reason: replayed(url, answer.thisUpdate, lesson.remembered.answer.thisUpdate) }
  }

  /** Before the end of its freshness, and not all at once: who started together would ask together ever after. */
  #refreshTimes(answer: OcspAnswer, document: FetchedDocument, now: number) {
    const fresh = Math.min(answer.freshUntil, document.freshUntil ?? Number.POSITIVE_INFINITY)
    const moment = Math.min(now + momentMillis, answer.usableUntil)
    const freshUntil = answer.status === 'unknown' ? moment : Math.max(fresh, moment)
    const window = Math.min(freshUntil - now, this.#settings.refresh)
    return { refreshFrom: Math.max(moment, now + window * (0.6 + 0.3 * Math.random())), freshUntil }
  }

  /**
   * RFC 6960 §4.2.2.2.1. The delegate's issuer is that of the certificate asked about. Never by OCSP of our own: it would have to vouch for itself.
   * The generation is that of before: what changes meanwhile is asked about again.
   */
  async #statusOfDelegate(delegate: Certificate, question: StatusQuestion) {
    const checker = this.#settings.delegateChecker as CertificateChecker
    const { generation } = checker
    return { status: await checker.statusOf({ ...question, certificate: delegate }), generation }
  }
}

/** Issuer's name and key, and serial number: certificates of others that have the same serial number are others. */
const keyOf = ({ certificate, issuer }: StatusQuestion): string =>
  Buffer.from(certIdOf(certificate, issuer, 'sha256').der).toString('latin1')

const unknown = (sentence: string): CertificateStatus => ({ status: 'unknown', ...factAndFix(sentence) })

function statusFrom({ answer, refreshFrom, freshUntil, url }: RememberedAnswer, at: number): CertificateStatus {
  const { status, reason, since, usableUntil } = answer
  if (status === 'unknown') return unknown(notKnown(url))
  if (status === 'revoked') {
    return {
      status,
      ...(reason === undefined ? {} : { reason }),
      ...(since === undefined ? {} : { since: new Date(since) }),
    }
  }
  if (at < refreshFrom) return { status, validUntil: refreshFrom }
  // A newer answer is on its way, or could not be had: this one is looked at again in a moment.
  return { status, validUntil: Math.min(at < freshUntil ? freshUntil : usableUntil, at + momentMillis) }
}

/** RFC 6960 §3.1: id-ad-ocsp. */
function respondersOf({ extensions }: Certificate): string[] {
  const urls: string[] = []
  for (const { accessMethod, accessLocation } of extensions.authorityInfoAccess ?? []) {
    const isResponder = accessMethod === oid.ocspAccess && accessLocation.type === 'uniformResourceIdentifier'
    if (isResponder && /^https?:/i.test(accessLocation.value)) urls.push(accessLocation.value)
    if (urls.length === urlsOfCertificate) break
  }
  return urls
}
