import type { CertificateRevocationList } from '../x509/crl.js'
import { oid } from '../x509/oid.js'
import type { CrlIndex } from './crl-index.js'
import type { CrlSummary } from './events.js'

/** A CRL whose entries can be looked up. */
export class KnownCrl {
  readonly crl: CertificateRevocationList
  readonly index: CrlIndex
  /** Where it comes from, as the operator would say it: a path, a URL. */
  readonly where: string
  /** RFC 5280 §5.2.4: two CRLs of one scope say the same kind of thing about the same certificates; the newer replaces the older. */
  readonly scope: string
  /** The SubjectPublicKeyInfo that was found to have signed it. Without one it may be forged, or nobody who knows its issuer has asked yet. */
  signer: Uint8Array | undefined

  constructor(crl: CertificateRevocationList, index: CrlIndex, where: string) {
    this.crl = crl
    this.index = index
    this.where = where
    this.scope = `${crl.issuer.comparisonKey} ${Buffer.from(this.distributionPoint).toString('latin1')}`
  }

  get isDelta(): boolean {
    return this.crl.extensions.deltaCRLIndicator !== undefined
  }

  /** The issuingDistributionPoint as it stands there; empty without one. */
  get distributionPoint(): Uint8Array {
    const extension = this.crl.extensionList.find(({ oid: identifier }) => identifier === oid.issuingDistributionPoint)
    return extension?.value ?? new Uint8Array()
  }

  get summary(): CrlSummary {
    const { issuer, thisUpdate, nextUpdate } = this.crl
    return {
      issuer: issuer.toString(),
      thisUpdate: new Date(thisUpdate),
      nextUpdate: nextUpdate === undefined ? undefined : new Date(nextUpdate),
      entries: this.index.size,
      isDelta: this.isDelta,
    }
  }

  /** Why it must not be used for any certificate, and what to do about it. Who signed it is another matter. */
  get flaw(): { readonly reason: string; readonly fix: string } | undefined {
    const misused = this.crl.extensionList.find(
      ({ oid: identifier, critical }) => critical && nonCritical.has(identifier),
    )
    // §5.2, §5.3: not understood here, or its CA means something else by it than §5.2.1, §5.2.3, §5.2.6 and §5.2.7 do, which do not let it be critical.
    const critical = this.crl.unknownCriticalExtension ?? this.index.unknownCriticalExtension ?? misused?.oid
    if (critical !== undefined)
      return {
        reason: `has the critical extension ${critical}, which is not known here or must not be critical`,
        fix: 'it must not be used (RFC 5280 §5.2); have the CA issue one without it',
      }
    // §5.2.3: in all CRLs but those of version 1, which have no place for it. OpenSSL does without; limbo's crl::crlnumber-missing does not.
    if (this.crl.version > 1 && this.crl.extensions.cRLNumber === undefined)
      return { reason: 'has no cRLNumber', fix: 'RFC 5280 §5.2.3 requires it; have the CA number its CRLs' }
    return undefined
  }
}

const nonCritical: ReadonlySet<string> = new Set([
  oid.authorityKeyIdentifier,
  oid.cRLNumber,
  oid.freshestCRL,
  oid.authorityInfoAccess,
])

/**
 * Whether `newer` makes `older` of the same scope superfluous. Time decides. Both are heard where they tie (one second may hold two CRLs, and whoever
 * takes the wrong one admits the revoked); where the one that is newer by time is older by number, until the other is over; and where the older is
 * a delta CRL that starts from an earlier CRL, and so says more.
 *
 * @param isOver the older one's end has passed
 */
export function replaces(newer: KnownCrl, older: KnownCrl, isOver: boolean): boolean {
  if (older.isDelta !== newer.isDelta) return older.isDelta && !isAhead(older, newer)
  const [a, b] = [newer.crl, older.crl]
  const { deltaCRLIndicator: baseA = 0n, cRLNumber: numberA = 0n } = a.extensions
  const { deltaCRLIndicator: baseB = 0n, cRLNumber: numberB = numberA } = b.extensions
  if (a.thisUpdate <= b.thisUpdate || baseA > baseB) return false
  return numberA >= numberB || isOver
}

/** §5.2.4 (d): the complete CRL may not know yet what the delta CRL says. */
export function isAhead({ crl: delta }: KnownCrl, { crl: complete }: KnownCrl): boolean {
  const [a, b] = [delta.extensions.cRLNumber, complete.extensions.cRLNumber]
  return (a !== undefined && b !== undefined && a > b) || delta.thisUpdate > complete.thisUpdate
}

/** The same order for any order of supply: the newest first. */
export function byAge(a: KnownCrl, b: KnownCrl): number {
  const [numberA, numberB] = [a.crl.extensions.cRLNumber ?? -1n, b.crl.extensions.cRLNumber ?? -1n]
  return (
    b.crl.thisUpdate - a.crl.thisUpdate ||
    (numberA === numberB ? Buffer.compare(a.crl.signature, b.crl.signature) : numberA > numberB ? -1 : 1)
  )
}
