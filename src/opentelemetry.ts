/** `mtls-identity/opentelemetry`: the metrics and the attributes of spans through `@opentelemetry/api`, which is an optional peer. */
import { type Attributes, type Meter, metrics, type ObservableResult, trace } from '@opentelemetry/api'
import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from './core/contract.js'
import { ClientCertConfigError, refuseUnknownOptions } from './errors.js'
import type { ClientIdentity } from './identity/identity.js'
import type { Instrument, RecordedInstrument, Sample } from './metrics/instruments.js'
import { type Authenticators, instruments, measure } from './metrics/measure.js'

export type { Authenticators } from './metrics/measure.js'

export interface OpenTelemetryMetricsOptions {
  /** Default: that of the global meter provider, which has to be set before. */
  meter?: Meter
}

/**
 * The metrics of `mtls-identity/prometheus` as instruments of OpenTelemetry, of one authenticator or of several by name. They have the same attributes, and
 * their names have dots and no suffix: `mtls_identity.decisions`, `mtls_identity.validation` in seconds.
 *
 * Returns a function that stops it. Throws `ClientCertConfigError` for what is no authenticator.
 *
 * @example
 * metrics.setGlobalMeterProvider(provider)
 * openTelemetryMetrics(auth)
 */
export function openTelemetryMetrics(
  authenticators: Authenticators,
  options: OpenTelemetryMetricsOptions = {},
): () => void {
  refuseUnknownOptions('openTelemetryMetrics', options, ['meter'])
  const { meter = metrics.getMeter('mtls-identity') } = options
  if (typeof meter?.createHistogram !== 'function') {
    throw new ClientCertConfigError('openTelemetryMetrics: meter is none — metrics.getMeter("mtls-identity")')
  }
  const histograms = new Map<RecordedInstrument, ReturnType<Meter['createHistogram']>>()
  const measurement = measure('openTelemetryMetrics', authenticators, (instrument, labels, seconds) =>
    histograms.get(instrument)?.record(seconds, labels),
  )
  const stops = [measurement.stop]
  const observe = (instrument: Exclude<Instrument, RecordedInstrument>, read: () => Iterable<Sample>) => {
    const { kind, help: description } = instrument
    const observable =
      kind === 'gauge'
        ? meter.createObservableGauge(nameOf(instrument), { description, unit: unitOf(instrument) })
        : meter.createObservableCounter(nameOf(instrument), { description, unit: unitOf(instrument) })
    const callback = (result: ObservableResult) => {
      for (const [labels, value] of read()) result.observe(value, labels)
    }
    observable.addCallback(callback)
    stops.push(() => observable.removeCallback(callback))
  }
  for (const instrument of instruments) {
    if (instrument.kind === 'histogram') {
      const { help: description, buckets } = instrument
      const advice = { explicitBucketBoundaries: [...buckets] }
      histograms.set(instrument, meter.createHistogram(nameOf(instrument), { description, unit: 's', advice }))
    } else observe(instrument, () => measurement.read(instrument))
  }
  return () => {
    for (const stop of stops.splice(0)) stop()
  }
}

/** OpenTelemetry keeps units and kinds apart from names. */
const nameOf = ({ name }: Instrument) =>
  name.replace(/^mtls_identity_/, 'mtls_identity.').replace(/(_timestamp)?(_seconds)?(_total)?$/, '')

const unitOf = ({ name }: Instrument) => (name.endsWith('_seconds') ? 's' : '1')

export interface SpanOptions {
  /** Adds `tls.client.subject` and `tls.client.issuer`, which name people and companies. Default false. */
  names?: boolean
}

/**
 * Puts who the client is on the span that is active when an authenticator accepts it, as `tls.client.*` of the semantic conventions: `hash.sha256` (upper
 * case), `not_before`, `not_after`, and with `names` `subject` and `issuer` (RFC 4514). Instrumentation of HTTP has to be set up before.
 *
 * Returns a function that stops it. Throws `ClientCertConfigError`.
 *
 * @example
 * traceClients(auth)
 */
export function traceClients(authenticator: Authenticator, options: SpanOptions = {}): () => void {
  if (!isAuthenticator(authenticator)) {
    throw new ClientCertConfigError('traceClients: the first argument is the authenticator — traceClients(auth)')
  }
  refuseUnknownOptions('traceClients', options, ['names'])
  const { names = false } = options
  if (typeof names !== 'boolean') throw new ClientCertConfigError('traceClients: names is true or false')
  const known = new WeakMap<ClientIdentity, Attributes>()
  return (authenticator as AuthenticatorInternals)[internals].observe({
    decided(decision) {
      if (decision.outcome !== 'accepted') return
      const span = trace.getActiveSpan()
      if (span === undefined || !span.isRecording()) return
      const { identity } = decision
      const attributes = known.get(identity) ?? attributesOf(identity, names)
      known.set(identity, attributes)
      span.setAttributes(attributes)
    },
  })
}

function attributesOf(identity: ClientIdentity, names: boolean): Attributes {
  return {
    'tls.client.hash.sha256': identity.fingerprint.toUpperCase(),
    'tls.client.not_before': identity.notBefore.toISOString(),
    'tls.client.not_after': identity.notAfter.toISOString(),
    ...(names
      ? { 'tls.client.subject': identity.subject.toString(), 'tls.client.issuer': identity.issuer.toString() }
      : {}),
  }
}
