import type { ResolvedProfile } from './profile.js'

/** What is overlooked in one end entity, and until when: an operator's dated exception. Issuers are judged as ever. */
export interface Leniency {
  /** Asked of the end entity in place of the profile. */
  readonly profile: ResolvedProfile
  readonly expired: boolean
  readonly notYetValid: boolean
  /** Milliseconds since 1970 at which it is over. */
  readonly until: number
}
