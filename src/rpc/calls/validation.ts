/** Validates requests by the rules in the contract (protovalidate), and reports violations as google.rpc.BadRequest. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, ValidationError, type Validator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createValidateInterceptor } from "@connectrpc/validate";
import { badRequest } from "../wire/error-details.ts";
import { assertPossibleTimes } from "./possible-times.ts";
import { describeRule } from "./rule-text.ts";

/**
 * Creates the interceptor. A request that breaks a rule fails with `invalid_argument` and a BadRequest that names every
 * wrong field.
 */
export function createValidation(): Interceptor {
  const validate = createValidateInterceptor({ validator: getValidator() });
  return (next) => {
    const validated = validate(next);
    return async (request) => {
      try {
        return await validated(request);
      } catch (error) {
        throw error instanceof ConnectError && error.cause instanceof ValidationError
          ? toBadRequest(error.cause)
          : error;
      }
    };
  };
}

/**
 * Throws ConnectError with `invalid_argument` and a BadRequest that names every wrong field if a message breaks a rule.
 */
export function checkMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  const result = getValidator().validate(schema, message);
  if (result.kind === "invalid") throw toBadRequest(result.error);
  if (result.kind === "error") throw result.error;
}

let shared: Validator | undefined;

/** Returns the process's validator, which compiles the rules of each kind of message once. */
function getValidator(): Validator {
  shared ??= createStrictValidator();
  return shared;
}

function createStrictValidator(): Validator {
  const validator = createValidator();
  return {
    ...validator,
    validate(schema, message) {
      assertPossibleTimes(schema, message);
      return validator.validate(schema, message);
    },
  };
}

function toBadRequest({ violations }: ValidationError): ConnectError {
  const fields = violations.map(({ field, message, ruleId }) => ({
    field: pathToString(field),
    description: describeRule(message),
    reason: ruleId,
  }));
  const text = fields.map(({ field, description }) => (field === "" ? description : `${field}: ${description}`));
  return new ConnectError(text.join("; "), Code.InvalidArgument, undefined, [badRequest(fields)]);
}
