// The client: one typed client for each service of the API.

import type { Client, Interceptor, Transport } from "@connectrpc/connect";

import { baseUrl, guardToken } from "./address.js";
import { AlarmService } from "./alarms.js";
import { TargetGroupService } from "./healthcheck.js";
import { HookService, LifecycleEventService, SubscriptionService } from "./hooks.js";
import { serviceClient } from "./leaving.js";
import {
  AppSpecService,
  ClusterService,
  DeploymentConfigService,
  DeploymentService,
  EventService,
  ServiceService,
  TaskDefinitionService,
  TaskService,
} from "./orchestrator.js";
import { bearer, slipwayTransport } from "./transport.js";

/** How a call travels. */
export type Protocol = "grpc" | "grpc-web" | "connect";

/** Where the services are and how they are called. */
export interface ClientOptions {
  /** Address of the orchestrator: a URL, or host:port (TLS unless it is loopback). So the three others. */
  orchestrator?: string | undefined;
  /** Address of the hooks service. */
  hooks?: string | undefined;
  /** Address of the healthcheck service. */
  healthcheck?: string | undefined;
  /** Address of the alarms service. */
  alarms?: string | undefined;
  /** Sent as "authorization: Bearer <token>"; over http:// to this machine only. */
  token?: string | undefined;
  /** Speak without TLS to other machines too, where an address is host:port, and send them the token in plain text. */
  insecure?: boolean | undefined;
  /** How long a call may take with all its attempts, ms; 0 for ever. Default 5000. Streams have no limit. */
  timeoutMs?: number | undefined;
  /** How often a call is sent while the service cannot be reached. Default 4. */
  maxAttempts?: number | undefined;
  /** Connect's interceptors; they see each attempt. */
  interceptors?: Interceptor[] | undefined;
}

/** A client of all services. Its parts can be called at once, from anywhere. */
export interface SlipwayClient {
  readonly clusters: Client<typeof ClusterService>;
  readonly taskDefinitions: Client<typeof TaskDefinitionService>;
  readonly services: Client<typeof ServiceService>;
  readonly deployments: Client<typeof DeploymentService>;
  readonly appSpecs: Client<typeof AppSpecService>;
  readonly deploymentConfigs: Client<typeof DeploymentConfigService>;
  readonly tasks: Client<typeof TaskService>;
  readonly events: Client<typeof EventService>;
  readonly hooks: Client<typeof HookService>;
  readonly lifecycleEvents: Client<typeof LifecycleEventService>;
  readonly subscriptions: Client<typeof SubscriptionService>;
  readonly targetGroups: Client<typeof TargetGroupService>;
  readonly alarms: Client<typeof AlarmService>;
  /** Ends calls and streams under way, as "canceled", and closes the connections. A later call opens them again. */
  close(): void;
}

/** The addresses of the four services. */
export interface Addresses {
  orchestrator: string;
  hooks: string;
  healthcheck: string;
  alarms: string;
}

/** What differs between Node and browsers. */
export interface Platform {
  /** The addresses that are not given. */
  addresses: Addresses;
  /** Whether host:port is spoken to with TLS also on this machine. */
  tls: boolean;
  /** Opens a transport to a base URL, with the interceptors to apply. */
  open: (baseUrl: string, interceptors: Interceptor[]) => Transport;
  /** An id that no other has. */
  randomId: () => string;
  /** Closes the connections. */
  close: () => void;
}

/** Puts a client together; each entry point's createClient gives the platform. */
export function assemble(options: ClientOptions, platform: Platform): SlipwayClient {
  const { token = "", insecure = false } = options;
  const interceptors = [...(options.interceptors ?? []), ...(token === "" ? [] : [bearer(token)])];
  const underWay = new Set<AbortController>();
  const transport = (name: keyof Addresses): Transport => {
    const base = baseUrl(name, options[name] ?? platform.addresses[name], { insecure, tls: platform.tls });
    guardToken(name, base, token, insecure);
    return slipwayTransport(platform.open(base, interceptors), {
      peer: `${name} at ${base}`,
      timeoutMs: options.timeoutMs ?? 5_000,
      maxAttempts: options.maxAttempts ?? 4,
      randomId: platform.randomId,
      underWay,
    });
  };
  const orchestrator = transport("orchestrator");
  const hooks = transport("hooks");
  return {
    clusters: serviceClient(ClusterService, orchestrator),
    taskDefinitions: serviceClient(TaskDefinitionService, orchestrator),
    services: serviceClient(ServiceService, orchestrator),
    deployments: serviceClient(DeploymentService, orchestrator),
    appSpecs: serviceClient(AppSpecService, orchestrator),
    deploymentConfigs: serviceClient(DeploymentConfigService, orchestrator),
    tasks: serviceClient(TaskService, orchestrator),
    events: serviceClient(EventService, orchestrator),
    hooks: serviceClient(HookService, hooks),
    lifecycleEvents: serviceClient(LifecycleEventService, hooks),
    subscriptions: serviceClient(SubscriptionService, hooks),
    targetGroups: serviceClient(TargetGroupService, transport("healthcheck")),
    alarms: serviceClient(AlarmService, transport("alarms")),
    close: () => {
      for (const call of underWay) call.abort();
      platform.close();
    },
  };
}
