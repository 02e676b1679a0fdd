import { shownUrl } from '../description.js'
import { quote } from '../help.js'
import type { CertificateStatus } from './certificate-status.js'
import { caFix, type FetchError } from './fetch-error.js'
import type { OcspFlaw } from './ocsp-answer.js'

/** What an operator can do about a response that says nothing. */
const fixes: { readonly [F in OcspFlaw]: string } = {
  malformed: 'is an OCSP responder at that URL?',
  malformedRequest: "it may want another form: method: 'post', nonce: 'none' or the other hash",
  internalError: 'see its log',
  tryLater: 'it is overloaded or not ready: see its log',
  sigRequired: 'it wants signed requests, which are not sent here: let it answer others',
  unauthorized: 'it does not answer for this issuer: is it the right responder?',
  'other-certificate': "it may know the other hash only: hash: 'sha1' or 'sha256'",
  extension: 'have it leave that out',
  responder:
    'have the CA certify its responder (OCSPSigning, ocsp-nocheck), or see responderCertificates and delegates',
  algorithm: 'have it sign with SHA-256 or better, or see profile.signatureAlgorithms',
  signature: 'a forgery, or the responder of another CA of that name',
  nonce: "it answers beforehand, or somebody replays: nonce: 'preferred' believes answers without one",
  'not-yet-valid': 'set the clocks, or see skewSeconds',
  stale: 'whatever signs its answers has stopped',
}

/** One fact, one fix, about a response of `url`. `reason` has what a peer wrote in quotes already. */
export function sentenceFor(url: string, flaw: OcspFlaw, reason: string, contentType: string | undefined): string {
  const isForeign = flaw === 'malformed' && contentType !== undefined && contentType !== 'application/ocsp-response'
  const type = isForeign ? ` (it says ${quote(contentType)})` : ''
  return `OCSP responder ${quote(shownUrl(url))}: ${reason}${type} — ${fixes[flaw]}`
}

/** Signed, and no more than that (RFC 6960 §2.2). */
export const notKnown = (url: string): string =>
  `OCSP responder ${quote(shownUrl(url))} does not know this certificate — does it have what this CA has issued?`

export const replayed = (url: string, thisUpdate: number, seen: number): string =>
  `OCSP responder ${quote(shownUrl(url))}: its answer is of ${instant(thisUpdate)}, and one of ${instant(seen)} was seen before — a replay, or one of several responders lags behind`

export const nobodyToAsk = (issuer: string): string =>
  `no OCSP responder is configured for ${quote(issuer)}, and its certificate names none over http — responder: has to name it, or leafOnly: true where only clients have one`

export function delegateIs(url: string, delegate: string, status: CertificateStatus): string {
  const what = status.status === 'unknown' ? `of unknown status (${status.reason})` : status.status
  return `OCSP responder ${quote(shownUrl(url))}: its delegate ${quote(delegate)} is ${what} — have the CA certify another one`
}

export function notFetched({ message, failure }: FetchError): string {
  const hasFix = failure !== 'tls' || message.includes(' — ')
  return `OCSP: ${message}${hasFix ? '' : ` — ${caFix('ocsp')}`}`
}

export const wasClosed = 'the OCSP checker was closed'

const instant = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z')
