import { deny } from '../errors.js'
import type { ResolvedProfile } from './profile.js'

/** What one validation may still spend. Running out is its own outcome: it neither proves nor disproves a path. */
export class Budget {
  readonly #profile: ResolvedProfile
  #signatures = 0
  #buildSteps = 0

  constructor(profile: ResolvedProfile) {
    this.#profile = profile
  }

  spendSignature(): void {
    const { maxSignatures } = this.#profile
    if (++this.#signatures > maxSignatures) {
      throw deny('ERR_CLIENT_CERT_BUDGET', {
        limit: 'signatures (profile.maxSignatures)',
        maximum: maxSignatures,
      })
    }
  }

  spendBuildStep(): void {
    const { maxBuildSteps } = this.#profile
    if (++this.#buildSteps > maxBuildSteps) {
      throw deny('ERR_CLIENT_CERT_BUDGET', {
        limit: 'candidate issuers (profile.maxBuildSteps)',
        maximum: maxBuildSteps,
      })
    }
  }
}
