import { openChannel } from '../event-channels.js'
import { printable } from '../help.js'

/**
 * What happens to revocation data, for whoever watches: facts. Names of issuers and addresses may be a peer's: control characters in them are
 * escaped. Reasons and messages of errors are sentences, in which that is done, too.
 */
export type RevocationEvent =
  /** CRLs were read, and take effect. */
  | { readonly type: 'crl-loaded'; readonly where: string; readonly crls: readonly CrlSummary[] }
  /** CRLs could not be read or fetched; the former ones hold until they end. */
  | { readonly type: 'crl-failed'; readonly where: string; readonly error: Error }
  /** A CRL of the operator's own sources has ended, by its nextUpdate or by maxAge, and nothing newer is known. Said once. */
  | {
      readonly type: 'crl-ended'
      readonly where: string
      readonly issuer: string
      readonly nextUpdate: Date | undefined
    }
  /** No responder gave a usable answer about a certificate of this issuer. Asked again after five seconds, where somebody needs it. */
  | { readonly type: 'ocsp-failed'; readonly issuer: string; readonly reason: string }
  /** A deny list was read, and takes effect. */
  | { readonly type: 'deny-list-loaded'; readonly where: string; readonly entries: number }
  | { readonly type: 'deny-list-failed'; readonly where: string; readonly error: Error }
  /** A certificate was admitted although its status is unknown: `allowUnknown`. */
  | { readonly type: 'unknown-allowed'; readonly reason: string; readonly fingerprint: string; readonly count: number }

export interface CrlSummary {
  readonly issuer: string
  readonly thisUpdate: Date
  readonly nextUpdate: Date | undefined
  readonly entries: number
  readonly isDelta: boolean
}

/** Every {@link RevocationEvent} is published here. */
export const revocationChannel = openChannel<RevocationEvent>('revocation')

/** What a subscriber throws reaches the process, not the checker: Node sees to that. */
export function publish(event: RevocationEvent): void {
  if (revocationChannel.hasSubscribers) revocationChannel.publish(Object.freeze(inOneLine(event)))
}

/** Names and addresses that a peer may have written, so that they stay in their line wherever they are printed. */
function inOneLine<T extends object>(facts: T): T {
  const entries = Object.entries(facts).map(([name, fact]) => [name, factInOneLine(fact)])
  return Object.fromEntries(entries) as T
}

function factInOneLine(fact: unknown): unknown {
  if (typeof fact === 'string') return printable(fact)
  return Array.isArray(fact) ? Object.freeze(fact.map((each) => Object.freeze(inOneLine(each as CrlSummary)))) : fact
}
