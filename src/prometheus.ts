/** `mtls-identity/prometheus`: metrics on the registry an application has already. Needs the optional peer `prom-client`. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { ClientCertConfigError } from './errors.js'
import { instruments, type ReadInstrument, type RecordedInstrument } from './metrics/instruments.js'
import { type Authenticators, type Measurement, measure } from './metrics/measure.js'

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
export function prometheusMetrics(registry: Registry<never>, authenticators: Authenticators): () => void {
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
    if (instrument.kind === 'histogram') histograms.set(instrument, histogramOf(instrument, registry))
    else register(instrument, registry, measurement)
  }
  return () => {
    measurement.stop()
    for (const { name } of instruments) registry.removeSingleMetric(name)
  }
}

const labelsOf = ({ labels }: { readonly labels: readonly string[] }) => ['authenticator', ...labels]

function histogramOf(instrument: RecordedInstrument, registry: Registry<never>): Histogram {
  const { name, help, buckets } = instrument
  return new Histogram({
    name,
    help,
    labelNames: labelsOf(instrument),
    buckets: [...buckets],
    registers: [registry],
  })
}

function register(instrument: ReadInstrument, registry: Registry<never>, { measured }: Measurement): void {
  const { name, help, kind } = instrument
  const options = { name, help, labelNames: labelsOf(instrument), registers: [registry] }
  const samples = function* () {
    for (const each of measured) {
      for (const [labels, value] of instrument.read(each))
        yield [{ authenticator: each.name, ...labels }, value] as const
    }
  }
  if (kind === 'gauge') {
    new Gauge({
      ...options,
      collect() {
        this.reset()
        for (const [labels, value] of samples()) this.set(labels, value)
      },
    })
  } else {
    new Counter({
      ...options,
      collect() {
        this.reset()
        for (const [labels, value] of samples()) this.inc(labels, value)
      },
    })
  }
}
