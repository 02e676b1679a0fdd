/** `mtls-identity/prometheus`: metrics on the registry an application has already. Needs the optional peer `prom-client`. */
import { Counter, Gauge, Histogram, type Registry, type RegistryContentType } from 'prom-client'
import { ClientCertConfigError } from './errors.js'
import type { Instrument, RecordedInstrument } from './metrics/instruments.js'
import { type Authenticators, instruments, labelsOf, type Measurement, measure } from './metrics/measure.js'

export type { Authenticators } from './metrics/measure.js'

/**
 * Registers the metrics of one authenticator, or of several by name, on a registry of `prom-client`: one call for each registry. Counting costs a
 * request an addition; everything else is read when somebody scrapes. No label holds anything that a client brings.
 *
 * Returns a function that takes the metrics off the registry again. Throws {@link ClientCertConfigError} for what is no registry or no authenticator, and
 * where the registry has these metrics already.
 *
 * @example
 * prometheusMetrics(register, auth)
 * app.get('/metrics', async (_request, response) => response.type(register.contentType).send(await register.metrics()))
 */
export function prometheusMetrics<Content extends RegistryContentType>(
  registry: Registry<Content>,
  authenticators: Authenticators,
): () => void {
  if (typeof registry?.registerMetric !== 'function') {
    throw new ClientCertConfigError(
      'prometheusMetrics: the first argument is a registry of prom-client — prometheusMetrics(register, auth)',
    )
  }
  const taken = instruments.find(({ name }) => registry.getSingleMetric(name) !== undefined)
  if (taken !== undefined) {
    throw new ClientCertConfigError(
      `prometheusMetrics: the registry has ${taken.name} already — one call for each registry: prometheusMetrics(register, { public: auth, admin: other })`,
    )
  }
  const histograms = new Map<RecordedInstrument, Histogram>()
  const measurement = measure('prometheusMetrics', authenticators, (instrument, labels, seconds) =>
    histograms.get(instrument)?.observe(labels, seconds),
  )
  for (const instrument of instruments) {
    if (instrument.kind !== 'histogram') register(instrument, registry as unknown as AnyRegistry, measurement)
    else {
      const options = { ...optionsOf(instrument, registry as unknown as AnyRegistry), buckets: [...instrument.buckets] }
      histograms.set(instrument, new Histogram(options))
    }
  }
  let isStopped = false
  return () => {
    if (isStopped) return
    isStopped = true
    measurement.stop()
    for (const { name } of instruments) registry.removeSingleMetric(name)
  }
}

/** Its type says what `metrics()` is written as, which is nothing to us. */
type AnyRegistry = Registry<RegistryContentType>

const optionsOf = (instrument: Instrument, registry: AnyRegistry) => ({
  name: instrument.name,
  help: instrument.help,
  labelNames: [...labelsOf(instrument)],
  registers: [registry as unknown as Registry],
})

function register(
  instrument: Exclude<Instrument, RecordedInstrument>,
  registry: AnyRegistry,
  { read }: Measurement,
): void {
  const options = optionsOf(instrument, registry)
  if (instrument.kind === 'gauge') {
    const { together: aggregator = 'sum' } = instrument
    new Gauge({
      ...options,
      aggregator,
      collect() {
        this.reset()
        for (const [labels, value] of read(instrument)) this.set(labels, value)
      },
    })
  } else {
    new Counter({
      ...options,
      collect() {
        this.reset()
        for (const [labels, value] of read(instrument)) this.inc(labels, value)
      },
    })
  }
}
