import { limits } from '../limits.js'
import { LruMap } from '../lru-map.js'
import type { ResolvedProfile } from '../path/profile.js'
import { isFinal, type OcspAnswer } from './ocsp-answer.js'

/** What is known of one certificate. */
export interface RememberedAnswer {
  readonly answer: OcspAnswer
  /** From here on it is asked for anew while the old one still serves. Milliseconds since 1970, as all times here. */
  readonly refreshFrom: number
  /** From here on a newer one is waited for; where there is none to be had, this one serves until `answer.usableUntil`. */
  readonly freshUntil: number
  /** The profiles under which its signature was accepted: another authenticator may accept less. */
  readonly acceptedUnder: WeakSet<ResolvedProfile>
  /** Who gave it. */
  readonly url: string
}

/** `replayed`: it was older than one that was seen before, and is not used. */
export interface Lesson {
  readonly remembered: RememberedAnswer
  readonly replayed: boolean
  /** Something that may have admitted somebody until now no longer does. */
  readonly closed: boolean
}

/**
 * The last answer about each certificate. It only goes forward: an answer that was signed earlier than one that was seen is a replay, whoever sends
 * it. A revocation is for good, because RFC 5280 §5.3.1 lets only certificateHold be lifted: no later answer takes back any other reason.
 */
export class OcspMemory {
  readonly #answers = new LruMap<string, RememberedAnswer>(limits.ocspAnswers)

  get(key: string): RememberedAnswer | undefined {
    return this.#answers.get(key)
  }

  learn(
    key: string,
    answer: OcspAnswer,
    profile: ResolvedProfile,
    source: Pick<RememberedAnswer, 'refreshFrom' | 'freshUntil' | 'url'>,
  ): Lesson {
    const known = this.#answers.get(key)
    if (known !== undefined && !supersedes(answer, known.answer)) {
      return { remembered: known, replayed: !isFinal(known.answer), closed: false }
    }
    const isSame = known?.answer.thisUpdate === answer.thisUpdate && known.answer.status === answer.status
    const acceptedUnder = (isSame ? known?.acceptedUnder : undefined) ?? new WeakSet()
    const remembered = { answer, ...source, acceptedUnder: acceptedUnder.add(profile) }
    this.#answers.set(key, remembered)
    const before = known?.answer.status
    const closed = answer.status === 'revoked' ? before !== 'revoked' : answer.status === 'unknown' && before === 'good'
    return { remembered, replayed: false, closed }
  }
}

function supersedes(answer: OcspAnswer, known: OcspAnswer): boolean {
  if (isFinal(known)) return false
  if (isFinal(answer)) return true
  if (answer.thisUpdate !== known.thisUpdate) return answer.thisUpdate > known.thisUpdate
  return weight[answer.status] >= weight[known.status]
}

/** Of two answers of one second, the revocation. What was unknown may have been issued meanwhile. */
const weight = { good: 0, unknown: 0, revoked: 1 } as const
