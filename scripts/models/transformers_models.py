"""Architectures of transformers 5 in tiny configurations: encoders, decoders, both, vision, audio, multimodal.

`use_cache` is off, since a cache is no tensor; everything else, the implementation of attention too, is the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import transformers
from torch import nn

from scripts.models.catalogue import Model

TINY: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "hidden_dim_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_global_key_value_heads"), 2),
    **dict.fromkeys(("intermediate_size", "d_ff", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim"), 64),
    **dict.fromkeys(("hidden_dim", "ffn_hidden_size", "d_inner", "word_embed_proj_dim"), 64),
    **dict.fromkeys(("vocab_size", "decoder_vocab_size", "src_vocab_size", "tgt_vocab_size"), 100),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"), 64),
    **dict.fromkeys(("projection_dim", "embed_dim"), 32),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_size"), 8),
    **dict.fromkeys(("bos_token_id",), 0),
    **dict.fromkeys(("eos_token_id",), 2),
    **dict.fromkeys(("pad_token_id",), 1),
    **dict.fromkeys(("image_size", "img_size"), 32),
    **dict.fromkeys(("patch_size",), 8),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    "use_cache": False,
}
"""Values for whatever a configuration has of these; what does not fit is in its row."""

TEXT = ("input_ids=int64[batch,seq]:3..99", "attention_mask=int64[batch,seq]")
CAUSAL = ("input_ids=int64[batch,seq]:3..99", "attention_mask=int64[batch,seq]:1")
IDS = ("input_ids=int64[batch,seq]:3..99",)
BOTH = (*TEXT, "decoder_input_ids=int64[batch,target]:3..99")
PIXELS = ("pixel_values=float32[batch,3,32,32]",)
LARGE_PIXELS = ("pixel_values=float32[batch,3,64,64]",)
VIDEO = ("pixel_values=float32[batch,2,3,32,32]",)
WAVE = ("input_values=float32[batch,1600]",)
TEXT_AND_PIXELS = ("input_ids=int64[batch,seq]:3..99", *PIXELS, "attention_mask=int64[batch,seq]:1")

Row = tuple[str, dict[str, Any], tuple[str, ...]]
"""Class (the base model where it is ""), what differs from `TINY`, and inputs."""

WAVES = {
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 2, 2),
    "conv_kernel": (10, 3, 3),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
}

STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "embed_dim": 8}

ENCODERS: dict[str, Row] = {
    "bert": ("BertForMaskedLM", {}, TEXT),
    "roberta": ("", {}, TEXT),
    "albert": ("", {}, TEXT),
    "distilbert": ("", {}, TEXT),
    "electra": ("ElectraForPreTraining", {}, TEXT),
    "deberta": ("", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}, TEXT),
    "deberta-v2": ("", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}, TEXT),
    "mpnet": ("", {}, TEXT),
    "camembert": ("", {}, TEXT),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", {}, TEXT),
    "xlm-roberta-xl": ("", {}, TEXT),
    "roberta-prelayernorm": ("", {}, TEXT),
    "convbert": ("", {"embedding_size": 32}, TEXT),
    "fnet": ("", {}, IDS),
    "funnel": ("FunnelModel", {"block_sizes": [1, 1], "d_head": 8}, TEXT),
    "squeezebert": ("", {}, TEXT),
    "mobilebert": ("", {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32}, TEXT),
    "megatron-bert": ("", {}, TEXT),
    "rembert": ("", {"input_embedding_size": 16, "output_embedding_size": 16}, TEXT),
    "nystromformer": (
        "",
        {"num_landmarks": 16, "segment_means_seq_len": 16},
        ("input_ids=int64[batch,16]:3..99",),
    ),
    "roformer": ("", {"embedding_size": 32}, TEXT),
    "layoutlm": ("", {}, (*TEXT, "bbox=int64[batch,seq,4]:7..8")),
    "lilt": ("", {"hidden_size": 48, "channel_shrink_ratio": 2}, (*TEXT, "bbox=int64[batch,seq,4]:7..8")),
    "bros": ("", {"hidden_size": 128}, (*TEXT, "bbox=float32[batch,seq,4]:0..1")),
    "modernbert": ("ModernBertForMaskedLM", {"local_attention": 8}, TEXT),
    "nomic_bert": ("", {}, TEXT),
    "eurobert": ("", {}, TEXT),
    "ernie": ("", {}, TEXT),
    "esm": ("", {"position_embedding_type": "rotary", "mask_token_id": 98}, TEXT),
    "bert-generation": ("", {}, TEXT),
    "data2vec-text": ("", {}, TEXT),
    "ibert": ("", {}, TEXT),
    "xlm": ("", {"emb_dim": 32}, TEXT),
    "flaubert": ("", {"emb_dim": 32}, TEXT),
    "big_bird": ("", {"attention_type": "original_full"}, TEXT),
    "canine": ("", {"downsampling_rate": 4, "local_transformer_stride": 16}, ("input_ids=int64[batch,32]:3..99",)),
    "splinter": ("", {}, TEXT),
    "markuplm": ("", {"max_depth": 4, "xpath_unit_hidden_size": 8}, TEXT),
    "xmod": ("", {"languages": ["en"], "default_language": "en"}, TEXT),
    "luke": ("", {"entity_vocab_size": 20, "entity_emb_size": 16}, TEXT),
    "tapas": ("", {"type_vocab_sizes": [3, 8, 8, 2, 8, 8, 4]}, (*TEXT, "token_type_ids=int64[batch,seq,7]")),
    "yoso": ("", {"use_expectation": True}, TEXT),
    "mra": ("", {}, TEXT),
    "longformer": ("", {"attention_window": [8, 8]}, TEXT),
}

DECODERS: dict[str, Row] = {
    "gpt2": ("GPT2LMHeadModel", {}, CAUSAL),
    "gpt_neo": ("", {"attention_types": [[["global", "local"], 1]], "window_size": 8}, CAUSAL),
    "gpt_neox": ("", {}, CAUSAL),
    "gptj": ("", {"rotary_dim": 4}, CAUSAL),
    "gpt_bigcode": ("", {}, CAUSAL),
    "openai-gpt": ("", {}, CAUSAL),
    "opt": ("OPTForCausalLM", {"word_embed_proj_dim": 16}, CAUSAL),
    "bloom": ("", {}, CAUSAL),
    "llama": ("LlamaForCausalLM", {}, CAUSAL),
    "mistral": ("", {"sliding_window": 4}, CAUSAL),
    "mixtral": ("", {}, CAUSAL),
    "qwen2": ("", {}, CAUSAL),
    "qwen2_moe": ("", {}, CAUSAL),
    "qwen3": ("", {}, CAUSAL),
    "qwen3_moe": ("", {}, CAUSAL),
    "qwen3_next": ("", {"linear_num_value_heads": 4, "linear_num_key_heads": 2}, CAUSAL),
    "gemma": ("", {}, CAUSAL),
    "gemma2": ("", {"sliding_window": 4, "query_pre_attn_scalar": 8}, CAUSAL),
    "gemma3_text": ("", {"sliding_window": 4, "query_pre_attn_scalar": 8}, CAUSAL),
    "phi": ("", {}, CAUSAL),
    "phi3": ("", {}, CAUSAL),
    "phimoe": ("", {}, CAUSAL),
    "falcon": ("", {}, CAUSAL),
    "mpt": ("", {}, CAUSAL),
    "codegen": ("", {"rotary_dim": 4}, CAUSAL),
    "olmo": ("", {}, CAUSAL),
    "olmo2": ("", {}, CAUSAL),
    "olmo3": ("", {"sliding_window": 4}, CAUSAL),
    "olmoe": ("", {}, CAUSAL),
    "stablelm": ("", {}, CAUSAL),
    "starcoder2": ("", {}, CAUSAL),
    "cohere": ("", {}, CAUSAL),
    "cohere2": ("", {"sliding_window": 4}, CAUSAL),
    "granite": ("", {}, CAUSAL),
    "granitemoe": ("", {}, CAUSAL),
    "glm": ("", {}, CAUSAL),
    "glm4": ("", {}, CAUSAL),
    "helium": ("", {}, CAUSAL),
    "nemotron": ("", {}, CAUSAL),
    "smollm3": ("", {}, CAUSAL),
    "deepseek_v2": (
        "",
        {
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "num_key_value_heads": 4,
        },
        CAUSAL,
    ),
    "deepseek_v3": (
        "",
        {
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "num_key_value_heads": 4,
        },
        CAUSAL,
    ),
    "mamba": ("", {"state_size": 4}, IDS),
    "mamba2": ("", {"state_size": 4, "n_groups": 2, "num_heads": 8, "head_dim": 8, "chunk_size": 4}, IDS),
    "falcon_mamba": ("", {"state_size": 4}, IDS),
    "rwkv": ("", {"attention_hidden_size": 32, "context_length": 64}, IDS),
    "recurrent_gemma": ("", {"lru_width": 32, "attention_window_size": 8}, CAUSAL),
    "jamba": (
        "",
        {"mamba_d_state": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
        CAUSAL,
    ),
    "ctrl": ("", {"dff": 64}, CAUSAL),
    "xglm": ("", {"attention_heads": 4}, CAUSAL),
    "biogpt": ("", {}, CAUSAL),
    "persimmon": ("", {}, CAUSAL),
    "bitnet": ("", {}, CAUSAL),
    "apertus": ("", {}, CAUSAL),
    "ernie4_5": ("", {}, CAUSAL),
    "exaone4": ("", {"sliding_window": 4}, CAUSAL),
    "gpt_oss": ("", {"sliding_window": 4}, CAUSAL),
    "xlnet": ("", {}, TEXT),
    "diffllama": ("", {}, CAUSAL),
    "doge": ("", {}, CAUSAL),
    "lfm2": ("", {"layer_types": ["conv", "full_attention"]}, CAUSAL),
    "seed_oss": ("", {}, CAUSAL),
    "arcee": ("", {}, CAUSAL),
    "minimax": ("", {"layer_types": ["full_attention", "linear_attention"], "block_size": 4}, CAUSAL),
    "trocr": ("TrOCRForCausalLM", {}, CAUSAL),
}

ENCODER_DECODERS: dict[str, Row] = {
    "t5": ("", {}, BOTH),
    "mt5": ("", {}, BOTH),
    "umt5": ("", {}, BOTH),
    "longt5": ("", {"local_radius": 3, "global_block_size": 4, "encoder_attention_type": "local"}, BOTH),
    "switch_transformers": ("", {}, BOTH),
    "bart": ("", {}, BOTH),
    "mbart": ("", {}, BOTH),
    "pegasus": ("", {}, BOTH),
    "pegasus_x": ("", {"block_size": 4, "num_global_tokens": 4}, BOTH),
    "marian": ("", {}, BOTH),
    "blenderbot": ("", {}, BOTH),
    "blenderbot-small": ("", {}, BOTH),
    "m2m_100": ("", {"encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}, BOTH),
    "nllb-moe": ("", {"encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0, "expert_capacity": 8}, BOTH),
    "plbart": ("", {}, BOTH),
    "prophetnet": ("", {"num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4}, BOTH),
    "bigbird_pegasus": ("", {"attention_type": "original_full"}, BOTH),
    "fsmt": ("", {}, (*BOTH, "decoder_attention_mask=bool[batch,target]:0")),
    "led": ("", {"attention_window": [8, 8]}, BOTH),
    "t5gemma": ("", {}, BOTH),
    "speech_to_text": ("", {"input_feat_per_channel": 8, "input_channels": 1, "conv_channels": 16,
                            "max_source_positions": 64, "max_target_positions": 64},
                       ("input_features=float32[batch,time,8]", "decoder_input_ids=int64[batch,target]:3..99")),
    "whisper": ("", {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 64,
                     "decoder_start_token_id": 3},
                ("input_features=float32[batch,8,40]", "decoder_input_ids=int64[batch,target]:3..99")),
    "moonshine": ("", {"encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 2,
                       "encoder_num_attention_heads": 4, "decoder_num_attention_heads": 4,
                       "encoder_num_key_value_heads": 4, "decoder_num_key_value_heads": 4},
                  ("input_values=float32[batch,1600]", "decoder_input_ids=int64[batch,target]:3..99")),
}  # fmt: skip

VISION: dict[str, Row] = {
    "vit": ("ViTForImageClassification", {}, PIXELS),
    "deit": ("", {}, PIXELS),
    "beit": ("", {"use_relative_position_bias": True, "layer_scale_init_value": 0.1}, PIXELS),
    "data2vec-vision": ("", {"use_relative_position_bias": True}, PIXELS),
    "vit_msn": ("", {}, PIXELS),
    "vitdet": ("", {"window_block_indices": [0], "window_size": 2}, PIXELS),
    "dinov2": ("", {}, PIXELS),
    "dinov2_with_registers": ("", {}, PIXELS),
    "dinov3_vit": ("", {}, PIXELS),
    "dinov3_convnext": ("", STAGES, LARGE_PIXELS),
    "ijepa": ("", {}, PIXELS),
    "hiera": ("", {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "image_size": [32, 32],
                   "patch_size": [3, 3], "patch_stride": [4, 4], "patch_padding": [1, 1], "masked_unit_size": [4, 4],
                   "query_stride": [2, 2], "num_query_pool": 1}, PIXELS),
    "swin": ("", {"embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "patch_size": 2, "window_size": 4}, PIXELS),
    "swinv2": ("", {"embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "patch_size": 2, "window_size": 4}, PIXELS),
    "swin2sr": ("", {"embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "patch_size": 1, "window_size": 4},
                ("pixel_values=float32[batch,3,16,16]",)),
    "donut-swin": ("", {"embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "patch_size": 2, "window_size": 4},
                   PIXELS),
    "convnext": ("", STAGES, LARGE_PIXELS),
    "convnextv2": ("", STAGES, LARGE_PIXELS),
    "resnet": ("", {**STAGES, "embedding_size": 8}, LARGE_PIXELS),
    "regnet": ("", {**STAGES, "embedding_size": 8, "groups_width": 8}, LARGE_PIXELS),
    "bit": ("", {**STAGES, "embedding_size": 8, "num_groups": 4}, LARGE_PIXELS),
    "mobilenet_v1": ("", {}, PIXELS),
    "mobilenet_v2": ("", {}, PIXELS),
    "mobilevit": ("", {"image_size": 64, "patch_size": 2}, LARGE_PIXELS),
    "mobilevitv2": ("", {"image_size": 64, "patch_size": 2}, LARGE_PIXELS),
    "efficientnet": ("", {"width_coefficient": 0.5, "depth_coefficient": 0.5, "image_size": 64, "hidden_dim": 640},
                     LARGE_PIXELS),
    "segformer": ("", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
                       "image_size": 64}, LARGE_PIXELS),
    "glpn": ("", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
                  "decoder_hidden_size": 8}, LARGE_PIXELS),
    "poolformer": ("", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "patch_size": 16}, LARGE_PIXELS),
    "pvt": ("", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
                 "image_size": 64, "patch_sizes": [4, 2, 2, 2]}, LARGE_PIXELS),
    "pvt_v2": ("", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
                    "image_size": 64}, LARGE_PIXELS),
    "levit": ("", {"hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1],
                   "key_dim": [8, 8, 8], "image_size": 64, "patch_size": 16}, LARGE_PIXELS),
    "focalnet": ("", {"embed_dim": 8, "depths": [1, 1], "hidden_sizes": [8, 16], "focal_levels": [2, 2],
                      "focal_windows": [3, 3], "patch_size": 4}, PIXELS),
    "swiftformer": ("", {"depths": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]}, LARGE_PIXELS),
    "textnet": ("", {}, LARGE_PIXELS),
    "hgnet_v2": ("HGNetV2ForImageClassification", {}, LARGE_PIXELS),
    "yolos": ("", {"image_size": [32, 32], "num_detection_tokens": 5}, PIXELS),
    "dpt": ("DPTForDepthEstimation", {"backbone_out_indices": [0, 1, 2, 3], "num_hidden_layers": 4,
                                      "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8,
                                      "is_hybrid": False}, PIXELS),
    "seggpt": ("", {"image_size": [32, 16], "patch_size": 8, "merge_index": 0,
                    "intermediate_hidden_state_indices": [0, 1]},
               ("pixel_values=float32[batch,3,16,16]", "prompt_pixel_values=float32[batch,3,16,16]",
                "prompt_masks=float32[batch,3,16,16]")),
    "vivit": ("", {"num_frames": 2, "tubelet_size": [2, 8, 8]}, VIDEO),
    "videomae": ("", {"num_frames": 2, "tubelet_size": 2}, VIDEO),
    "timesformer": ("", {"num_frames": 2}, VIDEO),
    "vjepa2": ("", {"frames_per_clip": 2, "crop_size": 32, "pred_hidden_size": 32, "pred_num_attention_heads": 4,
                    "pred_num_hidden_layers": 2}, ("pixel_values_videos=float32[batch,2,3,32,32]",)),
    "imagegpt": ("", {}, IDS),
    "superpoint": ("SuperPointForKeypointDetection", {}, LARGE_PIXELS),
    "upernet": ("UperNetForSemanticSegmentation", {}, LARGE_PIXELS),
    "sam_vision_model": ("SamVisionModel", {"global_attn_indexes": [1], "window_size": 2, "num_pos_feats": 16,
                                            "output_channels": 16, "mlp_dim": 64}, PIXELS),
    "sam_hq_vision_model": ("SamHQVisionModel", {"global_attn_indexes": [1], "window_size": 2, "num_pos_feats": 16,
                                                 "output_channels": 16, "mlp_dim": 64}, PIXELS),
}  # fmt: skip

AUDIO: dict[str, Row] = {
    "wav2vec2": ("Wav2Vec2ForCTC", WAVES, WAVE),
    "hubert": ("", WAVES, WAVE),
    "wavlm": ("", WAVES, WAVE),
    "unispeech": ("", WAVES, WAVE),
    "unispeech-sat": ("", WAVES, WAVE),
    "sew": ("", {**WAVES, "squeeze_factor": 2}, WAVE),
    "sew-d": ("", {**WAVES, "squeeze_factor": 2, "feature_layer_norm_eps": 1e-5}, WAVE),
    "wav2vec2-conformer": ("", WAVES, WAVE),
    "data2vec-audio": ("", {**WAVES, "conv_pos_kernel_size": 7, "num_conv_pos_embeddings": 2}, WAVE),
    "wav2vec2-bert": ("", {"feature_projection_input_dim": 8, "layerdrop": 0.0, "apply_spec_augment": False},
                      ("input_features=float32[batch,time,8]",)),
    "audio-spectrogram-transformer": ("", {"max_length": 32, "num_mel_bins": 16, "frequency_stride": 8,
                                           "time_stride": 8}, ("input_values=float32[batch,32,16]",)),
    "univnet": ("", {"model_in_channels": 8, "model_hidden_channels": 8, "kernel_predictor_hidden_channels": 8},
                ("input_features=float32[batch,6,100]", "noise_sequence=float32[batch,6,8]")),
    "encodec": ("", {"hidden_size": 16, "num_filters": 4, "codebook_size": 16, "codebook_dim": 16,
                     "num_lstm_layers": 1}, ("input_values=float32[batch,1,1600]",)),
    "dac": ("", {"encoder_hidden_size": 8, "decoder_hidden_size": 32, "downsampling_ratios": [2, 4],
                 "upsampling_ratios": [4, 2], "n_codebooks": 2, "codebook_size": 16},
            ("input_values=float32[batch,1,320]",)),
    "parakeet_ctc": ("ParakeetForCTC", {}, ("input_features=float32[batch,32,80]",)),
    "speecht5_hifigan": ("SpeechT5HifiGan", {"model_in_dim": 8, "upsample_initial_channel": 16,
                                             "upsample_rates": [2, 2], "upsample_kernel_sizes": [4, 4]},
                         ("spectrogram=float32[batch,6,8]",)),
}  # fmt: skip

MULTIMODAL: dict[str, Row] = {
    "clip": ("", {}, TEXT_AND_PIXELS),
    "clip_text_model": ("CLIPTextModel", {}, CAUSAL),
    "clip_vision_model": ("CLIPVisionModel", {}, PIXELS),
    "siglip": ("", {}, ("input_ids=int64[batch,seq]:3..99", *PIXELS)),
    "altclip": ("", {}, TEXT_AND_PIXELS),
    "chinese_clip": ("", {}, TEXT_AND_PIXELS),
    "metaclip_2": ("", {}, TEXT_AND_PIXELS),
    "blip": ("", {}, TEXT_AND_PIXELS),
    "flava": ("", {}, TEXT_AND_PIXELS),
    "vilt": ("", {"max_image_length": -1}, TEXT_AND_PIXELS),
    "visual_bert": ("", {"visual_embedding_dim": 16}, (*TEXT, "visual_embeds=float32[batch,5,16]")),
    "lxmert": ("", {"l_layers": 2, "x_layers": 2, "r_layers": 2, "visual_feat_dim": 16},
               (*TEXT, "visual_feats=float32[batch,5,16]", "visual_pos=float32[batch,5,4]")),
    "owlvit": ("", {}, ("input_ids=int64[2,7]:3..99", *PIXELS, "attention_mask=int64[2,7]:1")),
    "owlv2": ("", {}, ("input_ids=int64[2,7]:3..99", *PIXELS, "attention_mask=int64[2,7]:1")),
    "clipseg": ("", {}, TEXT_AND_PIXELS),
    "git": ("", {}, TEXT_AND_PIXELS),
    "layoutlmv3": ("", {"input_size": 32, "coordinate_size": 6, "shape_size": 4},
                   (*TEXT, "bbox=int64[batch,seq,4]:7..8", *PIXELS)),
}  # fmt: skip

TIME_SERIES: dict[str, Row] = {
    "patchtst": ("", {"num_input_channels": 3, "context_length": 24, "patch_length": 4, "patch_stride": 4,
                      "do_mask_input": False}, ("past_values=float32[batch,24,3]",)),
    "patchtsmixer": ("", {"num_input_channels": 3, "context_length": 24, "patch_length": 4, "patch_stride": 4},
                     ("past_values=float32[batch,24,3]",)),
    "decision_transformer": ("", {"state_dim": 5, "act_dim": 3, "max_ep_len": 20},
                             ("states=float32[batch,4,5]", "actions=float32[batch,4,3]", "rewards=float32[batch,4,1]",
                              "returns_to_go=float32[batch,4,1]", "timesteps=int64[batch,4]:0..20",
                              "attention_mask=int64[batch,4]:1")),
}  # fmt: skip

NO_TRAIN: dict[str, str] = {}
"""Architectures without a train variant, and why."""

DATA_DEPENDENT = "GuardOnDataDependentSymNode: Could not guard on data-dependent expression"
SKIPPED: dict[str, str] = {
    "longformer": f"{DATA_DEPENDENT} 8*u1 < 16 (modeling_longformer.py, _chunk)",
    "led": f"{DATA_DEPENDENT} 8*u1 < 16 (modeling_led.py, _chunk)",
    "encodec": f"{DATA_DEPENDENT} Eq(u0, 1) (modeling_encodec.py, _pad1d)",
    "vilt": f"{DATA_DEPENDENT} u0 > 1 (modeling_vilt.py, visual_embed)",
}
"""Those that PyTorch 2.13 does not export, with its reason."""


def models() -> Iterator[Model]:
    """All of them."""
    for rows in (ENCODERS, DECODERS, ENCODER_DECODERS, VISION, AUDIO, MULTIMODAL, TIME_SERIES):
        for name, (kind, differences, inputs) in rows.items():
            build = partial(_build, name, kind, differences)
            yield Model(
                f"transformers/{name}",
                build,
                inputs,
                {"target": 5, "seq": 9, "time": 20},
                train=name not in NO_TRAIN,
                skip=SKIPPED.get(name, ""),
            )


def _build(name: str, kind: str, differences: dict[str, Any]) -> nn.Module:
    config = configuration(transformers.CONFIG_MAPPING[name], differences)
    model = getattr(transformers, kind)(config) if kind else transformers.AutoModel.from_config(config)
    for part in model.modules():
        if hasattr(getattr(part, "config", None), "use_cache"):
            part.config.use_cache = False
    return model


def configuration(kind: Any, differences: dict[str, Any]) -> Any:
    """A configuration with the values of `TINY` for what it has of them, in its parts too."""
    default = kind()
    values = {name: value for name, value in TINY.items() if name in vars(default) and name not in differences}
    values = {name: value for name, value in values.items() if _fits(value, getattr(default, name))}
    for name, part in (getattr(kind, "sub_configs", None) or {}).items():
        if name not in differences and getattr(default, name, None) is not None and part.__name__ != "AutoConfig":
            values[name] = configuration(part, {})
    return kind(**values, **differences)


def _fits(value: Any, default: Any) -> bool:
    """A number stands for a number, not for a list of them."""
    return default is None or isinstance(default, type(value) | int | float)
