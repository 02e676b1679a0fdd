import type { TrustAnchor } from '../trust/trust-snapshot.js'
import type { Certificate } from '../x509/certificate.js'

declare const verified: unique symbol

/** A path that was validated (RFC 5280 §6): only `verifiedPaths` makes one, and a `RememberedPath` gives back what it was made of. */
export interface CertificationPath {
  /** End entity first, then the issuers; the anchor is not in it. */
  readonly certificates: readonly Certificate[]
  readonly anchor: TrustAnchor
  /** Milliseconds since 1970: the earliest notAfter of all its certificates, the anchor included. */
  readonly notAfter: number
  /** The user-constrained policy set (RFC 5280 §6.1.6), as identifiers of the anchor's domain. */
  readonly policies: readonly string[]
  readonly [verified]: true
}
