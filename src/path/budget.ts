import { deny } from '../errors.js'
import type { ResolvedProfile } from './profile.js'

/** What one validation may still spend. Running out is its own outcome: it neither proves nor disproves a path. */
export class Budget {
  readonly #profile: ResolvedProfile
  #signatures = 0
  #buildSteps = 0
  #nameComparisons = 0
  #policyNodes = 0

  constructor(profile: ResolvedProfile) {
    this.#profile = profile
  }

  spendSignature(): void {
    if (++this.#signatures > this.#profile.maxSignatures) throw exhausted('signatures', 'maxSignatures', this.#profile)
  }

  spendBuildStep(): void {
    if (++this.#buildSteps > this.#profile.maxBuildSteps)
      throw exhausted('candidate issuers', 'maxBuildSteps', this.#profile)
  }

  spendNameComparison(): void {
    if (++this.#nameComparisons > this.#profile.maxNameComparisons) {
      throw exhausted('name comparisons', 'maxNameComparisons', this.#profile)
    }
  }

  spendPolicyNode(): void {
    if (++this.#policyNodes > this.#profile.maxPolicyNodes)
      throw exhausted('policy nodes', 'maxPolicyNodes', this.#profile)
  }
}

type Field = 'maxSignatures' | 'maxBuildSteps' | 'maxNameComparisons' | 'maxPolicyNodes'

const exhausted = (what: string, field: Field, profile: ResolvedProfile) =>
  deny('ERR_CLIENT_CERT_BUDGET', { limit: `${what} (profile.${field})`, maximum: profile[field] })
