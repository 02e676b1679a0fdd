import type { Description } from '../description.js'
import { ClientCertConfigError } from '../errors.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { Certificate } from '../x509/certificate.js'
import {
  type CertificateChecker,
  type CertificateStatus,
  isCertificateChecker,
  type ManagedChecker,
  type StatusQuestion,
  statusOfPath,
} from './certificate-status.js'
import {
  earliest,
  type RevocationChecker,
  type RevocationContext,
  type RevocationFreshness,
  type RevocationStatus,
} from './checker.js'

interface Combination {
  name: string
  parts: readonly CertificateChecker[]
  statusOf: (question: StatusQuestion) => Promise<CertificateStatus>
  describe: () => Description
  onlyRevokes?: boolean
  neverUnknown?: boolean
}

/** A checker made of others: what changes in one of them has changed, and all of them are closed with it. */
export class CombinedChecker implements ManagedChecker {
  readonly name: string
  readonly onlyRevokes: boolean
  readonly answersForPinned: boolean
  readonly leafOnly: boolean
  /** A deny list is among its parts, or among theirs. */
  readonly hasDenyList: boolean
  /** It never passes a question on: nobody behind it in `firstDefinite` would be asked. */
  readonly neverUnknown: boolean
  readonly statusOf: (question: StatusQuestion) => Promise<CertificateStatus>
  readonly describe: () => Description
  readonly #parts: readonly CertificateChecker[]

  constructor({ name, parts, statusOf, describe, onlyRevokes = false, neverUnknown = false }: Combination) {
    this.name = name
    this.onlyRevokes = onlyRevokes
    this.answersForPinned = parts.some((part) => part.answersForPinned)
    this.leafOnly = parts.every((part) => part.leafOnly)
    this.hasDenyList = parts.some(hasDenyList)
    this.neverUnknown = neverUnknown
    this.statusOf = statusOf
    this.describe = describe
    this.#parts = parts
  }

  get generation(): number {
    return this.#parts.reduce((sum, { generation }) => sum + generation, 0)
  }

  check(path: CertificationPath, at: Date, context: RevocationContext): Promise<RevocationStatus> {
    return statusOfPath(this, path, at, context, { leafOnly: this.leafOnly, pinned: this.answersForPinned })
  }

  /** Where several may know, nobody can tell at start who will. */
  attach(issuers: () => readonly Certificate[]): void {
    const knowing = this.#parts.filter(({ onlyRevokes }) => !onlyRevokes)
    if (knowing.length === 1) knowing[0]?.attach?.(issuers)
  }

  freshness(): RevocationFreshness {
    const parts = this.#parts.map((part) => part.freshness?.()).filter((each) => each !== undefined)
    return {
      crls: parts.reduce((sum, { crls }) => sum + crls, 0),
      thisUpdate: earliest(parts.map(({ thisUpdate }) => thisUpdate?.getTime())),
      nextUpdate: earliest(parts.map(({ nextUpdate }) => nextUpdate?.getTime())),
    }
  }

  async ready(): Promise<void> {
    await Promise.all(this.#parts.map(async (part) => part.ready?.()))
  }

  close(): void {
    for (const part of this.#parts) part.close?.()
  }
}

export const hasDenyList = (checker: CertificateChecker): boolean =>
  checker.onlyRevokes === true || (checker as Partial<CombinedChecker>).hasDenyList === true

export const isNeverUnknown = (checker: CertificateChecker): boolean =>
  (checker as Partial<CombinedChecker>).neverUnknown === true

/** Combinators ask about single certificates, which a checker of one's own may not know how to answer. */
export function expectCertificateChecker(
  where: string,
  checker: RevocationChecker,
): asserts checker is CertificateChecker {
  const isOne = typeof checker === 'object' && checker !== null && isCertificateChecker(checker)
  if (isOne && typeof checker.generation === 'number') return
  throw new ClientCertConfigError(
    `${where}: takes crl(…), ocsp(…), denyList(…), or a checker of your own that has statusOf() and generation`,
  )
}
