import { groupBy } from '../group-by.js'
import type { DistinguishedName } from '../x509/name.js'
import type { KnownCrl } from './known-crl.js'

/** The CRLs that are known at one moment, by their issuers. Never changes. */
export class CrlSet {
  readonly all: readonly KnownCrl[]
  readonly #byIssuer: ReadonlyMap<string, readonly KnownCrl[]>

  constructor(crls: readonly KnownCrl[]) {
    this.all = Object.freeze([...crls])
    this.#byIssuer = groupBy(crls, ({ crl }) => crl.issuer.comparisonKey)
  }

  byIssuer(name: DistinguishedName): readonly KnownCrl[] {
    return this.#byIssuer.get(name.comparisonKey) ?? none
  }
}

const none: readonly KnownCrl[] = Object.freeze([])
