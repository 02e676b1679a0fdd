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
  /** A certificate of its issuer was found to have signed it. */
  isSigned = false

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

  /**
   * RFC 5280 §5.2, §5.3: a critical extension that is not understood here, or one that must not be critical (§5.2.1, §5.2.3, §5.2.6, §5.2.7) and whose
   * CA therefore meant something else by it. The CRL must not be used for any certificate.
   */
  get unusableExtension(): string | undefined {
    const misused = this.crl.extensionList.find(
      ({ oid: identifier, critical }) => critical && nonCritical.has(identifier),
    )
    return this.crl.unknownCriticalExtension ?? this.index.unknownCriticalExtension ?? misused?.oid
  }
}

const nonCritical: ReadonlySet<string> = new Set([
  oid.authorityKeyIdentifier,
  oid.cRLNumber,
  oid.freshestCRL,
  oid.authorityInfoAccess,
])

/**
 * Whether `newer` makes `older` of the same scope superfluous. Time decides, and the numbers break a tie. A CRL that is newer by time and older by
 * number contradicts itself: while the other still holds, both are heard.
 *
 * @param at milliseconds since 1970
 */
export function replaces(newer: KnownCrl, older: KnownCrl, at: number): boolean {
  const [a, b] = [newer.crl, older.crl]
  const [numberA, numberB] = [a.extensions.cRLNumber, b.extensions.cRLNumber]
  const isNumbered = numberA !== undefined && numberB !== undefined
  if (a.thisUpdate === b.thisUpdate) return isNumbered && numberA > numberB
  if (a.thisUpdate < b.thisUpdate) return false
  return !isNumbered || numberA >= numberB || isOver(b.nextUpdate, at)
}

const isOver = (nextUpdate: number | undefined, at: number) => nextUpdate !== undefined && nextUpdate < at

/** The same order for any order of supply: the newest first. */
export function byAge(a: KnownCrl, b: KnownCrl): number {
  const [numberA, numberB] = [a.crl.extensions.cRLNumber ?? -1n, b.crl.extensions.cRLNumber ?? -1n]
  return (
    b.crl.thisUpdate - a.crl.thisUpdate ||
    (numberA === numberB ? Buffer.compare(a.crl.signature, b.crl.signature) : numberA > numberB ? -1 : 1)
  )
}
