import type { Description } from '../description.js'
import type { PathProfile } from '../path/profile.js'
import type { PrincipalSource } from './principal.js'

/** What decides about clients, as it was configured and read: `policyHash` is of this. */
export interface Policy {
  readonly trust: {
    /** By fingerprint. */
    readonly anchors: readonly AnchorDescription[]
    /** End entities that are admitted by themselves; whose they are is not told. */
    readonly pinned: readonly (CertificateDescription & { readonly by: 'certificate' | 'key' })[]
    /** `spiffeBundles()`: each trust domain speaks for itself only. */
    readonly keepsDomainsApart: boolean
    /** How they are kept up to date. */
    readonly store: Description
  }
  /** Untrusted CA certificates that complete paths: SHA-256 fingerprints. */
  readonly intermediates: { readonly fingerprints: readonly string[]; readonly store: Description } | null
  /** Where certificates come from, and the gates before it. */
  readonly source: Description
  /** Every field, whether it was written or not. */
  readonly profile: PathProfile
  /** `{ kind: 'none' }`, or what the checker says of itself. */
  readonly revocation: Description
  /** The authenticator's own rules, as a tree; those of guards and mounts are theirs. */
  readonly rules: Description | null
  readonly exceptions: Description | null
  /** What the application calls a client is asked of `resolve`, or taken from a name of the certificate. */
  readonly principal:
    | { readonly from: 'resolve'; readonly lifetimeMilliseconds: number }
    | { readonly from: PrincipalSource }
    | null
  readonly clock: 'system' | 'custom'
}

export interface CertificateDescription {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  /** The named set of `trust` it is in. */
  readonly set?: string
  /** ISO 8601. */
  readonly notAfter: string
}

export interface AnchorDescription extends CertificateDescription {
  /** RFC 4514. */
  readonly subject: string
}
