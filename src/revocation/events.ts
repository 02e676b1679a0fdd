import { channel } from 'node:diagnostics_channel'

/**
 * What happens to revocation data, for whoever watches: facts. Names of issuers and addresses may be a peer's, and are as he wrote them; whoever prints
 * them quotes them (`JSON.stringify`). Reasons and messages of errors are sentences, in which that is done.
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

/** Every {@link RevocationEvent} is published here: `diagnostics_channel.subscribe('mtls-identity:revocation', listener)`. */
export const revocationChannel = channel('mtls-identity:revocation')

/** What a subscriber throws reaches the process, not the checker: Node sees to that. */
export function publish(event: RevocationEvent): void {
  if (revocationChannel.hasSubscribers) revocationChannel.publish(event)
}
