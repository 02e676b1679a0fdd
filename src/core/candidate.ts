import { AsyncResource } from 'node:async_hooks'
import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { present } from '../event-channels.js'
import { limits } from '../limits.js'
import { momentOrNone } from '../moment.js'
import { type AnyRequest, type PresentedChain, type Reading, sessionIn } from '../source/source.js'
import { type CandidateReport, type Difference, DifferenceTally } from './candidate-report.js'
import type { Decision } from './decision.js'
import { type Comparison, type Epoch, holding, type KnownClient, numbersOf } from './decision-memory.js'
import { epochOf } from './epoch.js'
import { type AuthenticatorOptions, type CandidateOptions, resolveOptions, type Settings } from './options.js'
import type { Reporting } from './reporting.js'

/** @internal A test compares them with the README. */
export const candidateOptionNames: readonly (keyof CandidateOptions)[] = [
  'trust',
  'intermediates',
  'rules',
  'revocation',
  'profile',
]

/** An authenticator of the candidate's own, as far as it is needed here. */
interface CandidateAuthenticator {
  decide(request: AnyRequest, reporting: Reporting): Decision | Promise<Decision>
  close(): Promise<void>
}

/** What the candidate is asked about: the octets the enforced policy read, at the moment it decided about them. */
interface Question {
  readonly reading: Reading & { readonly presented: PresentedChain }
  /** Milliseconds since 1970. */
  readonly at: number
}

interface Task extends Question {
  readonly enforced: Decision
  readonly request: AnyRequest | undefined
  readonly known: KnownClient | undefined
  /** A rule may look at what the application keeps for the request in an AsyncLocalStorage. */
  readonly scope: AsyncResource
  /** Decisions of the same client that came while it waits: they are answered with it. */
  times: number
  last: number
}

/** Milliseconds for which a refusal by the candidate stands, as refusals are remembered: it ends by itself where its cause does. */
const refusalMilliseconds = 10_000
/** Milliseconds after which the candidate lets requests go first. */
const turnMilliseconds = 1
const unheard: Reporting = { enforced: true, absentPasses: true, refusalsOnly: true }

/**
 * Makes what decides beside the enforced policy, where `options` say so. Throws `ClientCertConfigError` for mistakes in them; what could not be
 * loaded by then keeps nobody waiting.
 *
 * @param enforced the settings of the enforced policy: whatever the candidate leaves out is theirs
 * @param make an authenticator of settings; what they opened is closed where that fails
 */
export function openCandidate(
  options: AuthenticatorOptions,
  enforced: Settings,
  make: (settings: Settings) => CandidateAuthenticator,
): Candidate | undefined {
  if (options.candidate === undefined) return undefined
  refuseMistakes(options.candidate)
  const asked: Asked = { question: undefined, at: undefined }
  try {
    const settings = settingsOf(options.candidate, options, enforced, asked)
    return new Candidate(settings, make(settings), asked)
  } catch (error) {
    if (!(error instanceof ClientCertConfigError)) throw error
    throw new ClientCertConfigError(`candidate: ${error.message}`, { cause: error })
  }
}

function refuseMistakes(given: CandidateOptions): void {
  const example = "candidate: { trust: './new-clients-ca.pem' }"
  if (typeof given !== 'object' || given === null)
    throw new ClientCertConfigError(`candidate: expected what differs — ${example}`)
  refuseUnknownOptions('candidate', given, candidateOptionNames)
  refuseUndefinedOptions('candidate', given)
  if (Object.keys(given).length === 0)
    throw new ClientCertConfigError(`candidate: nothing differs in it — ${example}, or leave it out`)
}

/** How a question reaches the candidate's authenticator: as what its source finds, and what its clock says. */
interface Asked {
  question: Question | undefined
  /** Of the last question, while any is being answered: what ended since the enforced decision is no difference. */
  at: number | undefined
}

function settingsOf(
  given: CandidateOptions,
  { watch, maxStaleness, profile, resolve, principalFrom, principalLifetime }: AuthenticatorOptions,
  enforced: Settings,
  asked: Asked,
): Settings {
  const { trust, intermediates, rules, revocation, exceptions } = enforced
  const settings = resolveOptions({
    trust,
    ...present({ intermediates, rules, watch, maxStaleness, profile, resolve, principalFrom, principalLifetime }),
    revocation,
    ...given,
    source: { name: enforced.source.name, read: () => (asked.question as Question).reading },
    log: false,
    now: () => asked.at ?? enforced.now(),
  } as AuthenticatorOptions)
  return { ...settings, exceptions, enforced }
}

/**
 * Decides beside the enforced policy, after it and in the background, and counts where the two differ. Nothing it does, and nothing that is thrown
 * or takes its time in it, reaches a request.
 */
export class Candidate {
  readonly #settings: Settings
  readonly #authenticator: CandidateAuthenticator
  readonly #asked: Asked
  readonly #tally: DifferenceTally
  /** Whatever else a rule looks at is looked at for every request. */
  readonly #isOfIdentity: boolean
  #waiting: Task[] = []
  readonly #ofClient = new WeakMap<KnownClient, Task>()
  #inFlight = 0
  #turn: NodeJS.Immediate | undefined

  constructor(settings: Settings, authenticator: CandidateAuthenticator, asked: Asked) {
    const { rules, enforced } = settings
    this.#settings = settings
    this.#authenticator = authenticator
    this.#asked = asked
    this.#isOfIdentity = rules === undefined || rules.isOfIdentity
    this.#tally = new DifferenceTally(momentOrNone(settings), enforced?.auditNames === true)
  }

  /**
   * Follows a decision of the enforced policy. Where the client is remembered to be decided about by both, that is a comparison of numbers.
   *
   * @param known of an acceptance
   * @param at milliseconds since 1970
   */
  follow(
    enforced: Decision,
    known: KnownClient | undefined,
    reading: Reading | undefined,
    at: number,
    request: AnyRequest | undefined,
  ): void {
    try {
      // Without octets there is nothing to decide, for whatever policy.
      if (reading?.presented === undefined) return
      if (this.#notReady !== undefined || isUndecided(enforced)) {
        this.#tally.skipped++
        return
      }
      const compared = known?.compared && holding(known.compared, epochOf(this.#settings), at)
      if (compared === undefined) this.#ask({ enforced, known, reading, at, request })
      else this.#tally.count(compared.difference, at)
    } catch {
      // A checker of the application's says its generation, and a source its reading; both may fail to.
      this.#tally.skipped++
    }
  }

  report(): CandidateReport {
    return this.#tally.report(this.#notReady)
  }

  close(): void {
    clearImmediate(this.#turn)
    this.#turn = undefined
    for (const task of this.#waiting.splice(0)) this.#settle(task, undefined)
    void this.#authenticator.close()
  }

  get #notReady(): string | undefined {
    const { trust, intermediates } = this.#settings
    return trust.unusable ?? intermediates?.unusable
  }

  #ask({ reading, at, known, ...decided }: Omit<Task, 'scope' | 'times' | 'last'>): void {
    const waiting = known && this.#isOfIdentity ? this.#ofClient.get(known) : undefined
    if (waiting !== undefined) {
      waiting.times++
      waiting.last = at
      this.#tally.pending++
      return
    }
    if (this.#inFlight >= limits.candidateDecisions) {
      this.#tally.skipped++
      return
    }
    const scope = new AsyncResource('mtls-identity.candidate')
    const task: Task = { ...decided, known, reading: ownReading(reading), at, scope, times: 1, last: at }
    if (known !== undefined) this.#ofClient.set(known, task)
    this.#inFlight++
    this.#tally.pending++
    this.#waiting.push(task)
    this.#turn ??= setImmediate(() => this.#work())
  }

  /** After whatever came in this turn of the event loop was answered, and for a part of the next only. */
  #work(): void {
    const begun = performance.now()
    do {
      const task = this.#waiting.shift()
      if (task !== undefined) void task.scope.runInAsyncScope(() => this.#compare(task))
    } while (this.#waiting.length > 0 && performance.now() - begun < turnMilliseconds)
    this.#turn = this.#waiting.length > 0 ? setImmediate(() => this.#work()) : undefined
  }

  /** Never rejects. */
  async #compare(task: Task): Promise<void> {
    let comparison: Comparison | undefined
    try {
      const epoch = epochOf(this.#settings)
      const decision = await this.#decide(task)
      comparison = isUndecided(decision) ? undefined : this.#differenceOf(task, decision, epoch)
    } catch {
      // The candidate's stores have become unusable, or the clock: it is not asked.
    }
    this.#settle(task, comparison)
  }

  #decide({ reading, at, request }: Task): Decision | Promise<Decision> {
    this.#asked.question = { reading, at }
    this.#asked.at = at
    try {
      return this.#authenticator.decide(request as AnyRequest, unheard)
    } finally {
      this.#asked.question = undefined
    }
  }

  #differenceOf({ enforced, known, at }: Task, decision: Decision, epoch: Epoch): Comparison {
    let difference: Difference | undefined
    if (enforced.outcome === 'accepted' && decision.outcome !== 'accepted')
      difference = this.#tally.find('would-refuse', decision, enforced.identity, at)
    if (enforced.outcome !== 'accepted' && decision.outcome === 'accepted')
      difference = this.#tally.find('would-admit', enforced, decision.identity, at)
    const holdsUntil = decision.outcome === 'accepted' ? decision.validUntil.getTime() : at + refusalMilliseconds
    const comparison = { difference, decidedAt: at, holdsUntil, epoch: numbersOf(epoch) }
    if (known !== undefined && this.#isOfIdentity) known.compared = comparison
    return comparison
  }

  #settle(task: Task, comparison: Comparison | undefined): void {
    const { known, times, last } = task
    if (known !== undefined && this.#ofClient.get(known) === task) this.#ofClient.delete(known)
    if (--this.#inFlight === 0) this.#asked.at = undefined
    this.#tally.pending -= times
    if (comparison === undefined) this.#tally.skipped += times
    else this.#tally.count(comparison.difference, last, times)
  }
}

/** Not a policy's word about a client, but that it had none. */
const isUndecided = (decision: Decision) =>
  decision.outcome !== 'accepted' && decision.error.code === 'ERR_CLIENT_CERT_NOT_READY'

/**
 * A reading that may be looked at later: what was handed over may be written to afterwards, and what the candidate accepts is not for the
 * enforced policy's source to remember.
 */
function ownReading({ accepted: _, ...reading }: Question['reading']): Question['reading'] {
  if (sessionIn(reading) !== undefined) return reading
  const { certificate, intermediates, via } = reading.presented
  const presented = {
    certificate: Uint8Array.from(certificate),
    intermediates: intermediates.map((der) => Uint8Array.from(der)),
    via,
  }
  return { ...reading, presented }
}
