import { type Authenticator, type AuthenticatorInternals, internals } from '../core/authenticator.js'
import type { Observer } from '../core/reporting.js'
import { ClientCertConfigError } from '../errors.js'
import { DecisionCounts } from './decision-counts.js'
import {
  type Labels,
  type Measured,
  type RecordedInstrument,
  revocationSeconds,
  validationSeconds,
} from './instruments.js'

/** One authenticator, or several by the names their series are to have. */
export type Authenticators = Authenticator | Readonly<Record<string, Authenticator>>

/** Takes a duration, in seconds, as it is measured. */
export type Recorder = (instrument: RecordedInstrument, labels: Labels, seconds: number) => void

export interface Measurement {
  readonly measured: readonly Measured[]
  /** Stops listening. */
  stop(): void
}

/** Begins to count and to time. Throws {@link ClientCertConfigError} for what is no authenticator. */
export function measure(where: string, given: Authenticators, record: Recorder): Measurement {
  const stops: (() => void)[] = []
  const measured = namedOf(where, given).map(([name, authenticator]) => {
    const counts = new DecisionCounts()
    const observer: Observer = {
      decided(decision, facts) {
        counts.decided(decision, facts)
        if (facts.remembered || facts.via === undefined) return
        const labels = { authenticator: name, outcome: decision.outcome }
        record(validationSeconds, labels, facts.durations.authentication / 1000)
      },
      revocationAnswered: (status, milliseconds) =>
        record(revocationSeconds, { authenticator: name, status }, milliseconds / 1000),
    }
    stops.push(authenticator[internals].observe(observer))
    return { name, authenticator, counts }
  })
  return {
    measured,
    stop: () => {
      for (const stop of stops.splice(0)) stop()
    },
  }
}

function namedOf(where: string, given: Authenticators): [name: string, authenticator: AuthenticatorInternals][] {
  if (isAuthenticator(given)) return [['default', given]]
  const named = typeof given === 'object' && given !== null ? Object.entries(given) : []
  if (named.length > 0 && named.every(([, each]) => isAuthenticator(each))) return named as never
  throw new ClientCertConfigError(
    `${where}: expected an authenticator, or several by name — ${where}(…, createAuthenticator({ … }))`,
  )
}

const isAuthenticator = (value: unknown): value is AuthenticatorInternals =>
  typeof value === 'object' && value !== null && internals in value
