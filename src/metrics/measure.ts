import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from '../core/contract.js'
import type { Observer } from '../core/reporting.js'
import { ClientCertConfigError } from '../errors.js'
import { ChannelCounts, processInstruments } from './channel-counts.js'
import { DecisionCounts } from './decision-counts.js'
import {
  authenticatorInstruments,
  type Instrument,
  type Labels,
  type Measured,
  type ReadInstrument,
  type RecordedInstrument,
  revocationSeconds,
  type Sample,
  validationSeconds,
} from './instruments.js'

/** One authenticator, or several by the names their series are to have. */
export type Authenticators = Authenticator | Readonly<Record<string, Authenticator>>

/** Takes a duration, in seconds, as it is measured. */
export type Recorder = (instrument: RecordedInstrument, labels: Labels, seconds: number) => void

/** Every metric. The README's table is compared with it. */
export const instruments: readonly Instrument[] = Object.freeze([...authenticatorInstruments, ...processInstruments])

/** All labels of an instrument: what is of the whole process has no `authenticator`. */
export const labelsOf = (instrument: Instrument): readonly string[] =>
  instrument.kind === 'histogram' || 'read' in instrument ? ['authenticator', ...instrument.labels] : instrument.labels

export interface Measurement {
  /** What an instrument says now, with the names of the authenticators. */
  read(instrument: Exclude<Instrument, RecordedInstrument>): Iterable<Sample>
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
  const events = new ChannelCounts()
  stops.push(() => events.stop())
  return {
    *read(instrument) {
      if (!('read' in instrument)) yield* events.read(instrument)
      else for (const each of measured) yield* namedSamples(instrument, each)
    },
    stop: () => {
      for (const stop of stops.splice(0)) stop()
    },
  }
}

/** A clock or a checker of the application's that throws leaves a gap: everything else is scraped all the same. */
function namedSamples(instrument: ReadInstrument, measured: Measured): readonly Sample[] {
  try {
    const authenticator = measured.name
    return Array.from(instrument.read(measured), ([labels, value]) => [{ authenticator, ...labels }, value])
  } catch {
    return []
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
